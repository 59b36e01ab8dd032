#include "api/environment_place.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <map>

namespace leman::api {
namespace {
namespace fs = std::filesystem;

// An environment of the usual layout, in a folder of its own.
class EnvironmentPlaceTest : public ::testing::Test {
 protected:
  EnvironmentPlaceTest() {
    std::string name = (fs::temp_directory_path() / "leman-place-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    package_ = root_ / "lib/python3.11/site-packages/leman";
    Write(package_ / "__init__.py");
    Write(package_ / "_host.cpython-311-x86_64-linux-gnu.so");
    Write(package_ / "lib/libleman.so");
    Write(root_ / "bin/python3.11");
    Write(root_ / "lib/libpython3.11.so.1.0");
    fs::permissions(root_ / "bin/python3.11", fs::perms::owner_all);
  }
  ~EnvironmentPlaceTest() override { fs::remove_all(root_); }

  static void Write(const fs::path& path) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << "x";
  }
  Result<InterpreterPlace> Find() {
    const Result<PackagePlace> package = FindPackage(package_ / "lib/libleman.so");
    if (!package.ok()) return package.error();
    return FindInterpreter(*package, [&](const char* name) { return variables_[name]; });
  }

  fs::path root_;
  fs::path package_;
  std::map<std::string, std::string> variables_;
};

TEST_F(EnvironmentPlaceTest, ThePackageTellsItsPython) {
  const Result<PackagePlace> package = FindPackage(package_ / "lib/libleman.so");
  ASSERT_TRUE(package.ok()) << package.error().message;
  EXPECT_EQ(package->folder, package_);
  EXPECT_EQ(package->python_version, "3.11");
  EXPECT_EQ(package->platform, "x86_64-linux-gnu");
}

TEST_F(EnvironmentPlaceTest, TheInterpreterIsThatOfTheEnvironment) {
  const Result<InterpreterPlace> found = Find();
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->executable, root_ / "bin/python3.11");
  EXPECT_EQ(found->libpython, root_ / "lib/libpython3.11.so.1.0");
}

TEST_F(EnvironmentPlaceTest, AVirtualEnvironmentKeepsItsNameAndItsBaseHasTheLibrary) {
  Write(root_ / "base/bin/python3.11");
  Write(root_ / "base/lib/x86_64-linux-gnu/libpython3.11.so.1.0");
  fs::permissions(root_ / "base/bin/python3.11", fs::perms::owner_all);
  fs::remove(root_ / "lib/libpython3.11.so.1.0");
  fs::remove(root_ / "bin/python3.11");
  fs::create_symlink(root_ / "base/bin/python3.11", root_ / "bin/python3");
  const Result<InterpreterPlace> found = Find();
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->executable, root_ / "bin/python3");
  EXPECT_EQ(found->libpython, root_ / "base/lib/x86_64-linux-gnu/libpython3.11.so.1.0");
}

TEST_F(EnvironmentPlaceTest, PathAndVariablesStandIn) {
  fs::rename(root_ / "bin", root_ / "programs");
  EXPECT_NE(Find().error().message.find("set LEMAN_PYTHON"), std::string::npos) << Find().error().message;
  variables_["PATH"] = "/nowhere:" + (root_ / "programs").string();
  EXPECT_EQ(Find()->executable, root_ / "programs/python3.11");
  variables_["PATH"] = "";
  variables_["LEMAN_PYTHON"] = (root_ / "programs/python3.11").string();
  EXPECT_EQ(Find()->executable, root_ / "programs/python3.11");
  variables_["LEMAN_PYTHON"] = "python3";
  EXPECT_EQ(Find().error().message, "LEMAN_PYTHON='python3': expected the absolute path of a Python 3.11 interpreter");
}

TEST_F(EnvironmentPlaceTest, APythonWithoutASharedLibraryIsToldWhatToInstall) {
  fs::rename(root_ / "lib/libpython3.11.so.1.0", root_ / "elsewhere.so");
  const Error missing = Find().error();
  EXPECT_EQ(missing.kind, ErrorKind::kEnvironment);
  EXPECT_NE(missing.message.find("apt-get install libpython3.11"), std::string::npos) << missing.message;
  variables_["LEMAN_LIBPYTHON"] = (root_ / "elsewhere.so").string();
  EXPECT_EQ(Find()->libpython, root_ / "elsewhere.so");
  variables_["LEMAN_LIBPYTHON"] = "/nowhere.so";
  EXPECT_NE(Find().error().message.find("LEMAN_LIBPYTHON='/nowhere.so'"), std::string::npos);
}

TEST_F(EnvironmentPlaceTest, ALibraryOutsideOfAPackageIsRefused) {
  Write(root_ / "usr/lib/libleman.so");
  const Result<PackagePlace> package = FindPackage(root_ / "usr/lib/libleman.so");
  ASSERT_FALSE(package.ok());
  EXPECT_NE(package.error().message.find("leave it where it is"), std::string::npos);
  fs::remove(package_ / "_host.cpython-311-x86_64-linux-gnu.so");
  EXPECT_NE(Find().error().message.find("install leman again"), std::string::npos);
}

}  // namespace
}  // namespace leman::api
