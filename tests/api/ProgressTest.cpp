//===- ProgressTest.cpp - loading and compiling, watched and ended --------===//
#include "quern/Progress.h"
#include "Models.h"

#include <filesystem>
#include <mutex>
#include <set>
#include <unistd.h>

using namespace quern;
using namespace quern::test;
namespace fs = std::filesystem;

namespace {
/// Ends the work at what it is told to.
class Stopper : public ProgressWatcher {
public:
  explicit Stopper(std::string at = "") : at(std::move(at)) {}
  bool goOn(std::string_view doing) override {
    std::lock_guard lock(mutex);
    heard.emplace(doing);
    return doing != at;
  }
  std::set<std::string> heard;

private:
  std::mutex mutex;
  std::string at;
};
} // namespace

TEST(ProgressTest, LoadingAndCompilingSayWhatTheyAreAt) {
  Stopper watcher;
  ProgressScope scope(watcher);
  Model model = expectValue(Model::load(kDigits, {.dims = {{"N", 1}}}));
  expectValue(model.compile({.threads = 2}));
  for (const char *doing : {"reading the model", "importing the model", "optimising the graph",
                            "lowering the graph", "packing weights", "compiling"})
    EXPECT_TRUE(watcher.heard.count(doing)) << doing;
}

TEST(ProgressTest, LoadingEnds) {
  for (const char *at : {"reading the model", "importing the model"}) {
    Stopper watcher(at);
    ProgressScope scope(watcher);
    Status status = Model::load(kDigits).status();
    EXPECT_EQ(status.code(), StatusCode::Cancelled) << status.message();
  }
}

TEST(ProgressTest, CompilingEndsWhereverItIs) {
  Model model = expectValue(Model::load(kDigits, {.dims = {{"N", 1}}}));
  for (const char *at :
       {"optimising the graph", "lowering the graph", "packing weights", "compiling"}) {
    Stopper watcher(at);
    ProgressScope scope(watcher);
    Status status = model.compile({.threads = 2}).status();
    EXPECT_EQ(status.code(), StatusCode::Cancelled) << status.message();
    EXPECT_NE(status.message().find(std::string("cancelled while ") + at), std::string::npos);
  }
  expectValue(model.compile());
}

TEST(ProgressTest, NoArtefactIsLeftBehind) {
  Model model = expectValue(Model::load(kDigits, {.dims = {{"N", 1}}}));
  fs::path folder = testing::TempDir() + "quern_progress_" + std::to_string(getpid());
  fs::create_directory(folder);
  std::string output = folder / "digits.so";
  for (const std::string &at : {std::string("compiling"), "writing " + output}) {
    Stopper watcher(at);
    ProgressScope scope(watcher);
    EXPECT_EQ(model.compileToArtifact({}, {.outputPath = output}).code(), StatusCode::Cancelled);
    EXPECT_TRUE(fs::is_empty(folder)) << at;
  }
  fs::remove_all(folder);
}

TEST(ProgressTest, ARunIsCancelledWhileItCompiles) {
  Model model = expectValue(Model::load(kDigits));
  auto compiled = expectValue(model.compile());
  auto runner = expectValue(compiled->createRunner());
  runner->cancel();
  Status status = runner->run(images(1)).status();
  EXPECT_EQ(status.code(), StatusCode::Cancelled);
  EXPECT_NE(status.message().find("cancelled while"), std::string::npos) << status.message();
  EXPECT_TRUE(runner->run(images(1)));
}
