// The addon's entry: names and errors. What each method does stands in src/engine/binding.ts.
#include <node_api.h>

#include "abi.h"
#include "convert.h"

namespace pmigrate::binding {

namespace {

// 'ESRCH' for 3; strerrorname_np is not in Debian 12's C++ headers without _GNU_SOURCE, which g++ defines.
std::string error_code(int number) {
  const char* name = strerrorname_np(number);
  return name ? name : "errno " + std::to_string(number);
}

}  // namespace

Napi::Error to_js(Napi::Env env, const Error& error) {
  std::string object = error.object.empty() ? "" : " (" + error.object + ")";
  Napi::Error js = Napi::Error::New(env, error.syscall + ": " + strerror(error.number) + object);
  js.Set("errno", Napi::Number::New(env, error.number));
  js.Set("code", Napi::String::New(env, error_code(error.number)));
  js.Set("syscall", Napi::String::New(env, error.syscall));
  return js;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("abiVersion", Napi::Number::New(env, PLOAD_ABI_VERSION));
  add_trace(env, exports);
  add_memory(env, exports);
  add_system(env, exports);
  return exports;
}

NODE_API_MODULE(pmigrate, init)

}  // namespace pmigrate::binding
