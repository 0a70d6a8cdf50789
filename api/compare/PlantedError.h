//===- PlantedError.h - an error in what is compiled, for tests -----------===//
#pragma once

#include "backends/plan/StepObserver.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <memory>

namespace quern {

/// Tests of what finds wrong code need some. $QUERN_PLANT_ERROR is the number of a step of a plan,
/// or the name of a node: an element of the result of the native code there is changed, in every
/// run of the plan; "crash:NODE" aborts there. Null where it is not set.
std::shared_ptr<plan::StepObserver> plantedError();

/// Tests of what finds wrong passes: of "graph:NODE" the node is gone from the graph, and what
/// takes its first result takes the operand that has its type; nothing changes where none has.
void plantGraphError(mlir::func::FuncOp main);

} // namespace quern
