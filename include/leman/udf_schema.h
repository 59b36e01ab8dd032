// The Arrow schemas of native UDFs: what a function takes and gives, written and read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "leman/udf_results.h"
#include "leman/udf_values.h"

#pragma GCC visibility push(hidden)
namespace leman::udf {

/// An Arrow type with a name, as a value.
struct SchemaNode {
  std::string format;
  std::string name;
  bool nullable = true;
  std::vector<SchemaNode> children;
};

/// Owns what an exported ArrowSchema points to.
struct SchemaOwner {
  SchemaNode node;
  std::vector<ArrowSchema> children;
  std::vector<ArrowSchema*> pointers;

  explicit SchemaOwner(SchemaNode of) : node(std::move(of)) {}
  SchemaOwner(const SchemaOwner&) = delete;
  SchemaOwner& operator=(const SchemaOwner&) = delete;
  ~SchemaOwner() {
    for (ArrowSchema& child : children) {
      if (child.release != nullptr) child.release(&child);
    }
  }
};

inline void Export(SchemaNode node, ArrowSchema* out) {
  auto owner = std::make_unique<SchemaOwner>(std::move(node));
  owner->children.resize(owner->node.children.size());
  for (size_t i = 0; i < owner->children.size(); ++i) {
    Export(std::move(owner->node.children[i]), &owner->children[i]);
    owner->pointers.push_back(&owner->children[i]);
  }
  *out = ArrowSchema{};
  out->format = owner->node.format.c_str();
  out->name = owner->node.name.c_str();
  out->flags = owner->node.nullable ? ARROW_FLAG_NULLABLE : 0;
  out->n_children = static_cast<int64_t>(owner->children.size());
  out->children = owner->pointers.empty() ? nullptr : owner->pointers.data();
  out->release = [](ArrowSchema* schema) {
    const std::unique_ptr<SchemaOwner> owned(static_cast<SchemaOwner*>(schema->private_data));
    schema->release = nullptr;
  };
  out->private_data = owner.release();
}

// ---- What a C++ type is in Arrow ---------------------------------------------------------------------------------

template <typename R>
struct OutputType {
  static_assert(Number<R>,
                "a UDF returns bool, a number, std::string, leman::udf::OwnedBytes, std::vector or std::array "
                "of numbers, std::optional of these, or a std::tuple of them");
  static SchemaNode Make(std::string name) { return {std::string(1, FormatOf<R>()), std::move(name), true, {}}; }
};
template <>
struct OutputType<std::string> {
  static SchemaNode Make(std::string name) { return {"u", std::move(name), true, {}}; }
};
template <>
struct OutputType<std::string_view> : OutputType<std::string> {};
template <typename Write>
struct OutputType<Written<Write>> : OutputType<std::string> {};
template <>
struct OutputType<OwnedBytes> {
  static SchemaNode Make(std::string name) { return {"z", std::move(name), true, {}}; }
};
template <>
struct OutputType<Bytes> : OutputType<OwnedBytes> {};
template <typename T>
struct OutputType<std::vector<T>> {
  static SchemaNode Make(std::string name) { return {"+l", std::move(name), true, {OutputType<T>::Make("item")}}; }
};
template <typename T>
struct OutputType<std::span<const T>> : OutputType<std::vector<T>> {};
template <typename T, size_t N>
struct OutputType<std::array<T, N>> {
  static SchemaNode Make(std::string name) {
    return {"+w:" + std::to_string(N), std::move(name), true, {OutputType<T>::Make("item")}};
  }
};
template <typename T>
struct OutputType<std::optional<T>> : OutputType<T> {};
template <typename... Members>
struct OutputType<std::tuple<Members...>> {
  static SchemaNode Make(std::string name) {
    SchemaNode node{"+s", std::move(name), true, {}};
    size_t at = 0;
    (node.children.push_back(OutputType<typename FieldOf<Members>::Value>::Make(MemberName<Members>(at++))), ...);
    return node;
  }

 private:
  template <typename Member>
  static std::string MemberName(size_t at) {
    if constexpr (FieldOf<Member>::value) {
      return Member::name();
    } else {
      return "f" + std::to_string(at);
    }
  }
};

template <typename A>
SchemaNode InputType(std::string name) {
  using Value = typename OptionalOf<A>::Value;
  SchemaNode node{Column<Value>::Preferred(), std::move(name), OptionalOf<A>::value, {}};
  if constexpr (requires { Column<Value>::AcceptsItems(std::string_view()); }) {
    node.children.push_back(
        {std::string(1, FormatOf<std::remove_const_t<typename Value::element_type>>()), "item", true, {}});
  }
  return node;
}

/// Whether a column of that schema can be read as an argument of type A.
template <typename A>
bool Reads(const ArrowSchema& schema) {
  using Value = typename OptionalOf<A>::Value;
  if (!Column<Value>::Accepts(schema.format) || schema.dictionary != nullptr) return false;
  if constexpr (requires { Column<Value>::AcceptsItems(std::string_view()); }) {
    return schema.n_children == 1 && Column<Value>::AcceptsItems(schema.children[0]->format);
  }
  return true;
}

}  // namespace leman::udf
#pragma GCC visibility pop
