// Between JavaScript values and the engine's types. TypeScript has validated; a wrong type here is a bug of ours.
#pragma once

#include <napi.h>

#include <cstring>
#include <string>
#include <vector>

#include "error.h"
#include "memory.h"

namespace pmigrate::binding {

using Info = Napi::CallbackInfo;

inline Napi::Object options(const Info& info) { return info[0].As<Napi::Object>(); }

inline int integer(const Napi::Object& o, const char* name, int otherwise = 0) {
  Napi::Value value = o.Get(name);
  return value.IsUndefined() ? otherwise : value.As<Napi::Number>().Int32Value();
}
inline double number(const Napi::Object& o, const char* name) { return o.Get(name).As<Napi::Number>().DoubleValue(); }
inline bool boolean(const Napi::Object& o, const char* name) { return o.Get(name).ToBoolean(); }

inline uint64_t to_u64(const Napi::Value& value) {
  if (value.IsNumber()) return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value());
  bool lossless;
  Napi::BigInt big = value.As<Napi::BigInt>();
  int64_t as_signed = big.Int64Value(&lossless);
  return lossless ? static_cast<uint64_t>(as_signed) : big.Uint64Value(&lossless);
}
inline uint64_t u64(const Napi::Object& o, const char* name) { return to_u64(o.Get(name)); }

struct Bytes {
  uint8_t* data;
  size_t size;
};
inline Bytes bytes(const Napi::Value& value) {
  Napi::Uint8Array array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}

inline Napi::Value copy(Napi::Env env, const void* data, size_t size) { return Napi::Buffer<uint8_t>::Copy(env, static_cast<const uint8_t*>(data), size); }
inline Napi::Value copy(Napi::Env env, const std::vector<uint8_t>& data) { return copy(env, data.data(), data.size()); }

inline std::vector<Run> runs(const Napi::Value& value) {
  Napi::BigUint64Array array = value.As<Napi::BigUint64Array>();
  std::vector<Run> out(array.ElementLength() / 2);
  for (size_t i = 0; i < out.size(); i++) out[i] = {array[2 * i], array[2 * i + 1]};
  return out;
}
inline Napi::BigUint64Array from_runs(Napi::Env env, const std::vector<Run>& runs) {
  Napi::BigUint64Array array = Napi::BigUint64Array::New(env, runs.size() * 2);
  for (size_t i = 0; i < runs.size(); i++) {
    array[2 * i] = runs[i].address;
    array[2 * i + 1] = runs[i].bytes;
  }
  return array;
}

Napi::Error to_js(Napi::Env env, const Error& error);

// Wraps a function so that Error becomes a JavaScript error: the one place where it is caught.
template <Napi::Value (*function)(const Info&)>
Napi::Value guarded(const Info& info) {
  try {
    return function(info);
  } catch (const Error& error) {
    throw to_js(info.Env(), error);
  }
}

template <Napi::Value (*function)(const Info&)>
void add(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New(env, guarded<function>, name));
}

void add_trace(Napi::Env env, Napi::Object exports);
void add_memory(Napi::Env env, Napi::Object exports);
void add_system(Napi::Env env, Napi::Object exports);

}  // namespace pmigrate::binding
