// A database in a folder that is removed afterwards.
#pragma once

#include <gtest/gtest.h>
#include <leman/leman.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "number_stream.h"

class FreshDatabase : public ::testing::Test {
 protected:
  FreshDatabase() {
    std::string name = (std::filesystem::temp_directory_path() / "leman-cpp-api-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~FreshDatabase() override { std::filesystem::remove_all(folder_); }

  void SetUp() override {
    leman::Result<leman::Connection> connected = leman::Connect((folder_ / "db").string());
    ASSERT_TRUE(connected.ok()) << connected.error().message;
    db_ = std::make_unique<leman::Connection>(*connected);
  }

  [[nodiscard]] const leman::Connection& db() const { return *db_; }
  leman::Table Numbers(int64_t rows, int64_t rows_per_file = 1000) const {
    return number_stream::MakeTable(db(), "numbers", rows, rows_per_file);
  }
  /// A function of test_functions.cc.
  static leman::NativeUdf Function(const std::string& name, const std::string& params = "{}") {
    leman::NativeUdf udf;
    udf.library = TEST_FUNCTIONS;
    udf.function = name;
    udf.params = params;
    return udf;
  }
  /// The one that blocks from row 500 on, until `file` is there.
  [[nodiscard]] leman::NativeUdf Waiting(const std::filesystem::path& file) const {
    return Function("waits_for_file", R"({"file": ")" + file.string() + R"("})");
  }

  std::filesystem::path folder_;

 private:
  std::unique_ptr<leman::Connection> db_;
};
