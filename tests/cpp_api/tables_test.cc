#include "fresh_database.h"

namespace {

using TablesTest = FreshDatabase;
using number_stream::Read;

TEST_F(TablesTest, AreMadeOpenedListedAndDropped) {
  EXPECT_EQ(db().uri(), (folder_ / "db").string());
  EXPECT_TRUE(db().TableNames().value().empty());
  const leman::Table made = Numbers(2500);
  EXPECT_EQ(made.name(), "numbers");
  EXPECT_EQ(made.uri(), (folder_ / "db" / "numbers.lance").string());
  EXPECT_EQ(number_stream::Alive(), 0);
  EXPECT_EQ(db().TableNames().value(), std::vector<std::string>{"numbers"});
  const leman::Table opened = db().OpenTable("numbers").value();
  EXPECT_EQ(opened.CountRows().value(), 2500);
  EXPECT_EQ(opened.CountRows("x >= 2400").value(), 100);
  db().DropTable("numbers").value();
  EXPECT_TRUE(db().TableNames().value().empty());
}

TEST_F(TablesTest, AStreamIsReleasedAlsoWhereThereIsAnError) {
  Numbers(10);
  ArrowArrayStream data = number_stream::Make(10);
  EXPECT_EQ(db().CreateTable("numbers", &data).error().type, "ValueError");
  EXPECT_EQ(data.release, nullptr);
  data = number_stream::Make(10);
  EXPECT_FALSE(db().CreateTable("not/a name", &data).ok());
  EXPECT_EQ(number_stream::Alive(), 0);
  EXPECT_EQ(db().CreateTable("other", &data).error().message,
            "data: expected an ArrowArrayStream, got one that was released");
  EXPECT_EQ(db().CreateTable("other", nullptr).error().kind, leman::ErrorKind::kInvalidArgument);
}

TEST_F(TablesTest, AnErrorOfTheStreamComesOut) {
  ArrowArrayStream data = number_stream::Make(10);
  data.get_next = [](ArrowArrayStream*, ArrowArray*) { return EIO; };
  data.get_last_error = [](ArrowArrayStream*) -> const char* { return "the source is gone"; };
  const leman::Result<leman::Table> made = db().CreateTable("broken", &data);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("the source is gone"), std::string::npos) << made.error().message;
  EXPECT_EQ(number_stream::Alive(), 0);
}

TEST_F(TablesTest, ATableIsMadeOfAScanOfAnother) {
  const leman::Table numbers = Numbers(100);
  ArrowArrayStream scan;
  leman::ScanOptions options;
  options.filter = "x % 10 = 0";
  numbers.Scan(&scan, options).value();
  const leman::Table tens = db().CreateTable("tens", &scan).value();
  EXPECT_EQ(Read<int64_t>(tens, "x"), (std::vector<int64_t>{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}));
}

TEST_F(TablesTest, AScanTakesColumnsFilterLimitAndOffset) {
  const leman::Table numbers = Numbers(100);
  numbers.AddColumn("y", leman::Sql{"x * 10"}).value();
  leman::ScanOptions options;
  options.limit = 3;
  options.offset = 5;
  EXPECT_EQ(Read<int64_t>(numbers, "y", options), (std::vector<int64_t>{50, 60, 70}));
  options = {};
  options.filter = "x > 97";
  EXPECT_EQ(Read<int64_t>(numbers, "y", options), (std::vector<int64_t>{980, 990}));
}

TEST_F(TablesTest, AVersionIsReadOnly) {
  const leman::Table numbers = Numbers(10);
  const int64_t before = numbers.Version().value();
  numbers.AddColumn("y", leman::Sql{"x + 1"}).value();
  EXPECT_GT(numbers.Version().value(), before);
  const leman::Table old = db().OpenTable("numbers", before).value();
  EXPECT_EQ(old.Version().value(), before);
  EXPECT_EQ(old.AddColumn("z", leman::Sql{"x"}).error().kind, leman::ErrorKind::kInvalidArgument);
  ArrowArrayStream out;
  leman::ScanOptions options;
  options.columns = {"y"};
  EXPECT_EQ(old.Scan(&out, options).error().type, "ColumnNotFoundError");
}

TEST_F(TablesTest, ColumnsAreDropped) {
  const leman::Table numbers = Numbers(10);
  numbers.AddColumn("y", leman::Sql{"x + 1"}).value();
  numbers.DropColumns({"y"}).value();
  EXPECT_EQ(numbers.DropColumns({"y"}).error().kind, leman::ErrorKind::kNotFound);
}

}  // namespace
