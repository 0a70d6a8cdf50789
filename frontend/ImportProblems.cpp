//===- ImportProblems.cpp - all that keeps a model from being imported ----===//
#include "frontend/ImportProblems.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::frontend;

void ImportProblems::add(ImportProblem problem) {
  if (!isFull() && messages.insert(problem.message).second)
    problems.push_back(std::move(problem));
}

Status ImportProblems::status() const {
  size_t count = problems.size() + (first.isOk() ? 0 : 1);
  if (count == 0)
    return Status::ok();
  StatusCode code = first.isOk() ? problems.front().code : first.code();
  if (count == 1)
    return {code, first.isOk() ? problems.front().message : first.message()};
  std::string text = fmt::format("{}{} problems:", isFull() ? "at least " : "", count);
  if (!first.isOk())
    text += "\n  " + first.message();
  for (const ImportProblem &problem : problems)
    text += "\n  " + problem.message;
  return {code, std::move(text)};
}
