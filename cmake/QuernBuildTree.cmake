# The static libraries as they lie in the build folder, for projects beside this one (python/)
# that link the library whole: include(build/release/QuernBuildTree.cmake) after
# finding MLIR, LLD and what cmake/QuernBuildTreeDependencies.cmake finds.
export(TARGETS
  QuernApi QuernCli QuernCliSupport QuernEmitterBuild QuernFrontend QuernImageCodecs QuernInterpreter QuernIr QuernNative QuernOnnxFile
  QuernPasses QuernPlan QuernReference QuernRuntime QuernTflite quern_llvm quern_mlir quern_onnx_proto quern_options
  FILE ${PROJECT_BINARY_DIR}/QuernBuildTree.cmake)
