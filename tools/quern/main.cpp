//===- main.cpp - quern ---------------------------------------------------===//
#include "tools/quern/CommandLine.h"

int main(int argc, char **argv) { return quern::cli::runCommandLine(argc, argv); }
