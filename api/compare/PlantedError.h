//===- PlantedError.h - an error in a kernel's result, for tests ----------===//
#pragma once

#include "backends/plan/StepObserver.h"

#include <memory>

namespace quern {

/// Tests of what finds wrong code need some. $QUERN_PLANT_ERROR is the number of a step of a plan,
/// or the name of a node: an element of the result of the native code there is changed, in every
/// run of the plan. Null where it is not set.
std::shared_ptr<plan::StepObserver> plantedError();

} // namespace quern
