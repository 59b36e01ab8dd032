#include "model/arrow_slice.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace leman {
namespace {

// Arrays over buffers that the test holds. `released` counts the releases of a top-level array.
struct Column {
  ArrowArray array{};
  std::vector<const void*> buffers;
  std::vector<ArrowArray*> children;

  Column(int64_t length, std::vector<const void*> held, std::vector<ArrowArray*> below = {}, int64_t offset = 0)
      : buffers(std::move(held)), children(std::move(below)) {
    array.length = length;
    array.offset = offset;
    array.n_buffers = static_cast<int64_t>(buffers.size());
    array.buffers = buffers.data();
    array.n_children = static_cast<int64_t>(children.size());
    array.children = children.data();
  }
  Column(const Column&) = delete;
  Column& operator=(const Column&) = delete;
};

struct Schema {
  ArrowSchema schema{};
  std::vector<ArrowSchema*> children;

  explicit Schema(const char* format, std::vector<ArrowSchema*> below = {}) : children(std::move(below)) {
    schema.format = format;
    schema.n_children = static_cast<int64_t>(children.size());
    schema.children = children.data();
  }
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;
};

SharedArray Batch(Column& top, int* released) {
  ArrowArray array = top.array;
  array.private_data = released;
  array.release = [](ArrowArray* self) {
    ++*static_cast<int*>(self->private_data);
    self->release = nullptr;
  };
  return std::make_shared<OwnedArray>(&array);
}

int64_t ValueAt(const ArrowArray& array, int64_t row) {
  return static_cast<const int64_t*>(array.buffers[1])[array.offset + row];
}

class ArrowSliceTest : public ::testing::Test {
 protected:
  std::array<int64_t, 8> numbers_ = {0, 1, 2, 3, 4, 5, 6, 7};
  std::array<int64_t, 8> squares_ = {0, 1, 4, 9, 16, 25, 36, 49};
  Column x_{8, {nullptr, numbers_.data()}};
  Column y_{8, {nullptr, squares_.data()}};
  Column top_{8, {nullptr}, {&x_.array, &y_.array}};
  int released_ = 0;
};

TEST_F(ArrowSliceTest, AColumnsSliceShowsItsRows) {
  const OwnedArray slice = SliceColumn(Batch(top_, &released_), 1, 3, 2);
  EXPECT_EQ(slice->length, 2);
  EXPECT_EQ(ValueAt(*slice.get(), 0), 9);
  EXPECT_EQ(ValueAt(*slice.get(), 1), 16);
}

TEST_F(ArrowSliceTest, ASliceOfSeveralColumnsIsAStructOfTheirSlices) {
  const OwnedArray slice = SliceColumns(Batch(top_, &released_), 0, 2, 5, 3);
  ASSERT_EQ(slice->n_children, 2);
  EXPECT_EQ(slice->length, 3);
  EXPECT_EQ(slice->offset, 0);
  EXPECT_EQ(ValueAt(*slice->children[0], 0), 5);
  EXPECT_EQ(ValueAt(*slice->children[1], 2), 49);
}

TEST_F(ArrowSliceTest, TheBatchLivesAsLongAsAnySlice) {
  SharedArray batch = Batch(top_, &released_);
  OwnedArray column = SliceColumn(batch, 0, 0, 4);
  OwnedArray both = SliceColumns(batch, 0, 2, 0, 4);
  batch.reset();
  both.Reset();
  EXPECT_EQ(released_, 0);
  EXPECT_EQ(ValueAt(*column.get(), 3), 3);
  column.Reset();
  EXPECT_EQ(released_, 1);
}

TEST_F(ArrowSliceTest, AChildThatIsMovedOutOfASliceKeepsTheBatch) {
  OwnedArray child;
  {
    OwnedArray both = SliceColumns(Batch(top_, &released_), 0, 2, 2, 2);
    child = OwnedArray(both->children[1]);
  }
  EXPECT_EQ(released_, 0);
  EXPECT_EQ(ValueAt(*child.get(), 0), 4);
  child.Reset();
  EXPECT_EQ(released_, 1);
}

TEST_F(ArrowSliceTest, OffsetsOfBatchAndColumnAddUp) {
  Column x(4, {nullptr, numbers_.data()}, {}, 1);
  Column top(2, {nullptr}, {&x.array}, 2);
  const OwnedArray slice = SliceColumn(Batch(top, &released_), 0, 1, 1);
  EXPECT_EQ(ValueAt(*slice.get(), 0), 4);
}

TEST_F(ArrowSliceTest, TheNullCountOfAPartIsUnknownUnlessThereAreNone) {
  x_.array.null_count = 3;
  const SharedArray batch = Batch(top_, &released_);
  EXPECT_EQ(SliceColumn(batch, 0, 0, 8)->null_count, 3);
  EXPECT_EQ(SliceColumn(batch, 0, 0, 7)->null_count, -1);
  EXPECT_EQ(SliceColumn(batch, 1, 0, 7)->null_count, 0);
}

TEST_F(ArrowSliceTest, FirstColumnsCopiesASchemaWhole) {
  Schema item("l");
  Schema list("+l", {&item.schema});
  Schema number("i");
  number.schema.name = "n";
  number.schema.flags = ARROW_FLAG_NULLABLE;
  Schema top("+s", {&number.schema, &list.schema, &item.schema});
  const OwnedSchema copy = FirstColumns(top.schema, 2);
  ASSERT_EQ(copy->n_children, 2);
  EXPECT_STREQ(copy->format, "+s");
  EXPECT_STREQ(copy->children[0]->name, "n");
  EXPECT_EQ(copy->children[0]->flags, ARROW_FLAG_NULLABLE);
  EXPECT_STREQ(copy->children[1]->children[0]->format, "l");
}

TEST_F(ArrowSliceTest, BytesOfFixedWidthValues) {
  const auto bytes = [this](const char* format) { return ArrayBytes(Schema(format).schema, x_.array); };
  EXPECT_EQ(bytes("l"), 64);
  EXPECT_EQ(bytes("i"), 32);
  EXPECT_EQ(bytes("S"), 16);
  EXPECT_EQ(bytes("c"), 8);
  EXPECT_EQ(bytes("b"), 1);
  EXPECT_EQ(bytes("d:38,10"), 128);
  EXPECT_EQ(bytes("d:70,10,256"), 256);
  EXPECT_EQ(bytes("w:3"), 24);
  EXPECT_EQ(bytes("tdD"), 32);
  EXPECT_EQ(bytes("tsu:UTC"), 64);
  EXPECT_EQ(bytes("tin"), 128);
  EXPECT_EQ(bytes("n"), 0);
  x_.array.null_count = 1;
  EXPECT_EQ(bytes("l"), 65);
}

TEST_F(ArrowSliceTest, BytesOfTextAreThoseOfItsOwnRows) {
  const std::string text = "onetwothree";
  const std::array<int32_t, 4> offsets = {0, 3, 6, 11};
  const std::array<int64_t, 4> wide = {0, 3, 6, 11};
  Column all(3, {nullptr, offsets.data(), text.data()});
  Column last(1, {nullptr, offsets.data(), text.data()}, {}, 2);
  Column large(2, {nullptr, wide.data(), text.data()}, {}, 1);
  EXPECT_EQ(ArrayBytes(Schema("u").schema, all.array), 3 * 4 + 11);
  EXPECT_EQ(ArrayBytes(Schema("z").schema, last.array), 4 + 5);
  EXPECT_EQ(ArrayBytes(Schema("U").schema, large.array), 2 * 8 + 8);
}

TEST_F(ArrowSliceTest, BytesOfTextViewsCountWhatIsNotInline) {
  std::array<int32_t, 8> views = {};  // two views of 16 bytes; the first word is the length
  views[0] = 5;
  views[4] = 20;
  Column both(2, {nullptr, views.data()});
  Column second(1, {nullptr, views.data()}, {}, 1);
  EXPECT_EQ(ArrayBytes(Schema("vu").schema, both.array), 2 * 16 + 20);
  EXPECT_EQ(ArrayBytes(Schema("vz").schema, second.array), 16 + 20);
}

TEST_F(ArrowSliceTest, BytesOfListsAreThoseOfTheirElements) {
  const std::array<int32_t, 4> offsets = {0, 1, 3, 8};
  Schema item("l");
  Column all(3, {nullptr, offsets.data()}, {&x_.array});
  Column second(1, {nullptr, offsets.data()}, {&x_.array}, 1);
  Column none(0, {nullptr, nullptr}, {&x_.array});
  EXPECT_EQ(ArrayBytes(Schema("+l", {&item.schema}).schema, all.array), 3 * 4 + 8 * 8);
  EXPECT_EQ(ArrayBytes(Schema("+l", {&item.schema}).schema, second.array), 4 + 2 * 8);
  EXPECT_EQ(ArrayBytes(Schema("+l", {&item.schema}).schema, none.array), 0);
}

TEST_F(ArrowSliceTest, BytesOfFixedSizeLists) {
  Schema item("l");
  Column second(1, {nullptr}, {&x_.array}, 1);
  EXPECT_EQ(ArrayBytes(Schema("+w:4", {&item.schema}).schema, second.array), 4 * 8);
}

TEST_F(ArrowSliceTest, BytesOfStructsAndTheirSlices) {
  Schema number("l");
  Schema small("s");
  Schema both("+s", {&number.schema, &small.schema});
  EXPECT_EQ(ArrayBytes(both.schema, top_.array), 8 * 8 + 8 * 2);
  Column part(3, {nullptr}, {&x_.array, &y_.array}, 4);
  EXPECT_EQ(ArrayBytes(both.schema, part.array), 3 * 8 + 3 * 2);
  const OwnedArray slice = SliceColumns(Batch(top_, &released_), 0, 2, 5, 2);
  EXPECT_EQ(ArrayBytes(both.schema, *slice.get()), 2 * 8 + 2 * 2);
}

TEST_F(ArrowSliceTest, BytesOfADictionaryCountItWhole) {
  Column indices(2, {nullptr, numbers_.data()});
  indices.array.dictionary = &y_.array;
  Schema values("l");
  Schema index("c");
  index.schema.dictionary = &values.schema;
  EXPECT_EQ(ArrayBytes(index.schema, indices.array), 2 + 64);
}

}  // namespace
}  // namespace leman
