//===- CApiTableTest.cpp - every function of quern.h refuses what is wrong ===//
#include "CApiTable.h"
#include "Models.h"

#include <regex>
#include <set>

using namespace quern::test;

namespace {
constexpr int64_t kDims[4] = {1, 1, 8, 8};

CObjects makeObjects() {
  CObjects o;
  EXPECT_EQ(quern_model_load(kDigits.c_str(), nullptr, &o.model), QUERN_STATUS_OK);
  EXPECT_EQ(quern_model_compile(o.model, nullptr, &o.executable), QUERN_STATUS_OK);
  EXPECT_EQ(quern_session_create(o.executable, nullptr, &o.session), QUERN_STATUS_OK);
  EXPECT_EQ(quern_value_tensor(1, kDims, 4, &o.value), QUERN_STATUS_OK);
  EXPECT_EQ(quern_value_serialize(o.value, "x", &o.text), QUERN_STATUS_OK);
  return o;
}

void release(const CObjects &o) {
  quern_text_release(o.text);
  quern_value_release(o.value);
  quern_session_release(o.session);
  quern_executable_release(o.executable);
  quern_model_release(o.model);
}

class CApiTableTest : public testing::Test {
protected:
  void SetUp() override { right = makeObjects(); }
  void TearDown() override { release(right); }

  /// A usage error, no result.
  void expectRefused(const CFunction &function, CCall call, const CObjects &objects,
                     const std::string &says) {
    SCOPED_TRACE(std::string(function.name) + ": " + says);
    CResults results, untouched;
    std::memset(static_cast<void *>(&results), 0, sizeof results);
    std::memset(static_cast<void *>(&untouched), 0, sizeof untouched);
    EXPECT_EQ(call(objects, results), QUERN_STATUS_USAGE);
    EXPECT_EQ(std::memcmp(&results, &untouched, sizeof results), 0);
    // A signal handler may call it, so it has no message.
    if (std::string(function.name) != "quern_session_cancel") {
      EXPECT_NE(std::string(quern_last_error()).find(says), std::string::npos)
          << quern_last_error();
    }
  }

  /// Calls every function with one of its objects replaced by that of `wrong`.
  void expectAllRefuse(const CObjects &wrong, const std::string &says) {
    for (const CFunction &function : cFunctions()) {
      std::istringstream kinds(function.kinds);
      for (std::string kind; kinds >> kind;) {
        bool isNull = says.find("NULL") != std::string::npos;
        if (isNull && kind.ends_with('?'))
          continue;
        expectRefused(function, function.call, mixed(kind, wrong), says);
      }
    }
    for (const CPlainFunction &function : cPlainFunctions())
      function.call(wrong);
  }

  CObjects right;

private:
  CObjects mixed(const std::string &kind, const CObjects &wrong) {
    CObjects result = right;
    if (kind == "model")
      result.model = wrong.model;
    else if (kind == "executable")
      result.executable = wrong.executable;
    else if (kind == "session")
      result.session = wrong.session;
    else if (kind.starts_with("value"))
      result.value = wrong.value;
    else if (kind == "text")
      result.text = wrong.text;
    else
      ADD_FAILURE() << "there are no objects of the kind " << kind;
    return result;
  }
};
} // namespace

TEST_F(CApiTableTest, HasAllFunctions) {
  std::set<std::string> declared, tested;
  std::string header = readFile(QUERN_SOURCE_DIR "/api/include/quern.h");
  std::regex declaration(R"(QUERN_API [^;(]*\b(quern_\w+)\()");
  for (std::sregex_iterator it(header.begin(), header.end(), declaration), end; it != end; ++it)
    declared.insert((*it)[1]);
  for (const CFunction &function : cFunctions())
    EXPECT_TRUE(tested.insert(function.name).second) << function.name;
  for (const CPlainFunction &function : cPlainFunctions())
    EXPECT_TRUE(tested.insert(function.name).second) << function.name;
  EXPECT_EQ(tested, declared);
}

TEST_F(CApiTableTest, NullObjects) { expectAllRefuse({}, " is NULL"); }

TEST_F(CApiTableTest, ReleasedObjects) {
  CObjects objects = makeObjects();
  release(objects);
  expectAllRefuse(objects, "was released, or is something else");
  // Nor do new objects in their places make old handles valid.
  CObjects fresh = makeObjects();
  expectAllRefuse(objects, "was released, or is something else");
  CResults results;
  EXPECT_EQ(quern_value_kind(fresh.value, &results.number), QUERN_STATUS_OK);
  EXPECT_EQ(quern_text_get(fresh.text, &results.chars, nullptr), QUERN_STATUS_OK);
  release(fresh);
}

TEST_F(CApiTableTest, ObjectsOfAnotherKind) {
  // NOLINTBEGIN: as C programs with casts do.
  expectAllRefuse({(quern_model *)right.value, (quern_executable *)right.model,
                   (quern_session *)right.executable, (quern_value *)right.session,
                   (quern_text *)right.model},
                  "or is something else");
  int local = 0;
  for (void *wild : {static_cast<void *>(&local), (void *)1, (void *)~uintptr_t{0}})
    expectAllRefuse({(quern_model *)wild, (quern_executable *)wild, (quern_session *)wild,
                     (quern_value *)wild, (quern_text *)wild},
                    "or is something else");
  // NOLINTEND
}

TEST_F(CApiTableTest, Mistakes) {
  for (const CFunction &function : cFunctions())
    for (const CMistake &mistake : function.mistakes)
      expectRefused(function, mistake.call, right, mistake.says);
}
