//===- CallableBindings.cpp - the class CompiledModel in Python -----------===//
#include "CallableModel.h"
#include "Errors.h"
#include "ModelBindings.h"
#include "Ports.h"
#include "quern/Reports.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace quern;
using python::CallableModel;
using python::Cancellation;

/// tp_call: saves looking up __call__.
static PyObject *callModel(PyObject *self, PyObject *arguments, PyObject *named) {
  try {
    return nb::inst_ptr<CallableModel>(self)->call(arguments, named).release().ptr();
  } catch (...) {
    python::restoreError();
  }
  return nullptr;
}

/// Rows as `quern bench --profile --json` has them.
static nb::object profileOf(CallableModel &model) {
  return python::parsedReport(profileReport(model.profile()));
}

void python::bindCallableModel(nb::module_ &module) {
  nb::class_<Cancellation>(module, "Cancellation",
                           "Ends the runs it is given to, from whatever thread.")
      .def(nb::init<>())
      .def("cancel", &Cancellation::ask, "All of them end with CancelledError, and further ones.")
      .def("reset", &Cancellation::withdraw, "Further runs go on.")
      .def_prop_ro("cancelled", &Cancellation::isAsked);
  static PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void *>(callModel)}, {0, nullptr}};
  nb::class_<CallableModel>(
      module, "CompiledModel", nb::type_slots(slots), nb::is_weak_referenceable(),
      "A model made ready to run. Call it with arrays, by position or by name; any number of\n"
      "threads may do so at once. Gives a NumPy array, or a tuple of several outputs.")
      .def_prop_ro("inputs", [](CallableModel &self) { return portsOf(self.compiled().inputs()); })
      .def_prop_ro("outputs",
                   [](CallableModel &self) { return portsOf(self.compiled().outputs()); })
      .def_prop_ro(
          "listed_input_dims",
          [](CallableModel &self) { return self.compiled().listedInputDims(); },
          "Of a library: the sizes of each input, for each of its plans; else empty.")
      .def_prop_ro("backend", &CallableModel::backendName)
      .def_prop_ro(
          "precision",
          [](CallableModel &self) {
            return std::string(precisionName(self.compiled().precision()));
          },
          "What products and convolutions of float32 were asked to be computed in.")
      .def_prop_ro(
          "precision_choice",
          [](CallableModel &self) -> nb::object {
            const PrecisionChoice *choice = self.compiled().precisionChoice();
            return choice ? parsedReport(choiceReport(*choice)) : nb::none();
          },
          "With precision \"auto\": what was chosen and measured, a dict; else None.")
      .def_prop_ro("threads", &CallableModel::threads, "Threads of a run, the caller's included.")
      .def("run", &CallableModel::run, nb::arg("names").none(), nb::arg("inputs"),
           nb::arg("timeout") = nb::none(), nb::arg("cancellation") = nb::none(),
           "The outputs of these names (None: all) as a list, for inputs by name or in order. A\n"
           "quern.Cancellation ends the run from another thread.")
      .def("check_inputs", &CallableModel::checkFeed, nb::arg("inputs"),
           "Raises what `run` would raise about names, types and shapes, and computes nothing.")
      .def("run_into", &CallableModel::runInto, nb::arg("inputs"), nb::arg("outputs"),
           nb::arg("cancellation") = nb::none(),
           "Computes in the memory of given arrays; None stands for a new one.")
      .def("warm_up", &CallableModel::warmUp, nb::arg("dims") = CallableModel::Sizes(),
           nb::kw_only(), nb::arg("shapes") = CallableModel::Shapes(),
           nb::arg("timeout") = nb::none(),
           "Compiles now what runs on inputs of these sizes would: of symbolic dimensions,\n"
           "warm_up({\"N\": 1}), or as shapes of inputs by their names; both branches of each If,\n"
           "and the bodies of loops. Parts whose sizes only a run finds out are compiled by that\n"
           "run.")
      .def_rw("cast", &CallableModel::castsInputs,
              "Whether inputs of another type of numbers, as float64 for float32, are converted.")
      .def_rw(
          "gives_dict", &CallableModel::givesDict,
          "Whether calls give several outputs as a dict by name, as the model that was compiled\n"
          "does, instead of a tuple.")
      .def(
          "compare",
          [](nb::handle self, nb::args arguments, nb::kwargs named) {
            return nb::module_::import_("quern.against").attr("compare")(self, *arguments, **named);
          },
          "Error and time against the framework itself, run in turns: of what was compiled, or of\n"
          "`original`. On random inputs unless `inputs` are given.")
      .def("profile", profileOf,
           "Of a model compiled with profile=True: a dict for each step, with its time.")
      .def("clear_profile", &CallableModel::clearProfile)
      .def("_repr_html_",
           [](nb::handle self) {
             return nb::module_::import_("quern.report").attr("model_html")(self);
           })
      .def("__repr__", [](CallableModel &self) {
        auto describe = [](const std::vector<PortSignature> &ports) {
          std::string text;
          for (const PortSignature &port : ports)
            text += (text.empty() ? "" : ", ") + port.name + ": " + port.describe();
          return text;
        };
        return textOf("<quern.CompiledModel (" + describe(self.compiled().inputs()) + ") -> (" +
                      describe(self.compiled().outputs()) + "), " + self.backendName() + ">");
      });
}
