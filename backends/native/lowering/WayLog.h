//===- WayLog.h - what there was to choose from ---------------------------===//
#pragma once

#include <mutex>
#include <string>
#include <vector>

namespace quern::native {

/// A choice among several ways that can compute an op.
struct WayRecord {
  struct Candidate {
    std::string name;
    /// The nanoseconds it is estimated to take.
    double cost;
  };
  /// problemKey.
  std::string problem;
  /// "nn.conv"; and the step that computes it, as profiles call it.
  std::string op, nodes;
  /// In the order of the op's ways.
  std::vector<Candidate> able;
  /// Of least cost, whatever is used; and what is used.
  std::string expected, used;
};

/// Collects choices while graphs are lowered. Thread-safe.
class WayLog {
public:
  void add(WayRecord record) {
    std::lock_guard lock(mutex);
    records.push_back(std::move(record));
  }
  /// Those so far, which are forgotten.
  std::vector<WayRecord> take() {
    std::lock_guard lock(mutex);
    return std::move(records);
  }

private:
  std::mutex mutex;
  std::vector<WayRecord> records;
};

} // namespace quern::native
