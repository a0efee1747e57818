// process.h, fds.h and plain system calls for JavaScript.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "convert.h"
#include "fds.h"
#include "process.h"

namespace pmigrate::binding {
namespace {

constexpr int64_t kSafeInteger = (1ll << 53) - 1;

uint64_t argument(const Napi::Value& value) {
  if (value.IsTypedArray()) return reinterpret_cast<uint64_t>(bytes(value).data);
  return to_u64(value);
}

Napi::Value js_system_call(const Info& info) {
  Napi::Array args = options(info).Get("args").As<Napi::Array>();
  uint64_t a[6] = {};
  for (uint32_t i = 0; i < args.Length() && i < 6; i++) a[i] = argument(args.Get(i));
  long result = syscall(static_cast<long>(number(options(info), "number")), a[0], a[1], a[2], a[3], a[4], a[5]);
  if (result == -1) return Napi::Number::New(info.Env(), -errno);
  if (result > kSafeInteger || result < -kSafeInteger) return Napi::BigInt::New(info.Env(), static_cast<int64_t>(result));
  return Napi::Number::New(info.Env(), static_cast<double>(result));
}

Napi::Value js_pidfd_open(const Info& info) { return Napi::Number::New(info.Env(), pidfd_open_of(integer(options(info), "pid"))); }

Napi::Value js_pidfd_getfd(const Info& info) {
  return Napi::Number::New(info.Env(), pidfd_get(integer(options(info), "pidfd"), integer(options(info), "fd")));
}

Napi::Value js_kcmp(const Info& info) {
  Napi::Object o = options(info);
  return Napi::Number::New(info.Env(), compare(integer(o, "pid1"), integer(o, "pid2"), integer(o, "type"), static_cast<uint64_t>(integer(o, "id1")), static_cast<uint64_t>(integer(o, "id2"))));
}

Napi::Value js_close_fd(const Info& info) {
  close(integer(options(info), "fd"));
  return info.Env().Undefined();
}

Napi::Value js_read_file(const Info& info) { return copy(info.Env(), read_file(options(info).Get("path").As<Napi::String>().Utf8Value().c_str())); }

Napi::Value js_peek_socket(const Info& info) {
  auto messages = peek_socket(integer(options(info), "fd"), static_cast<size_t>(number(options(info), "maxBytes")));
  Napi::Array array = Napi::Array::New(info.Env(), messages.size());
  for (uint32_t i = 0; i < messages.size(); i++) array.Set(i, copy(info.Env(), messages[i]));
  return array;
}

Napi::Value js_set_foreground(const Info& info) {
  set_foreground(integer(options(info), "fd"), integer(options(info), "pgid"));
  return info.Env().Undefined();
}

Napi::Value js_spawn_loader(const Info& info) {
  Napi::Object o = options(info);
  SpawnOptions spawn{integer(o, "loaderFd"), {}, 0, {}, boolean(o, "newSession")};
  if (!o.Get("setTid").IsUndefined()) {
    Napi::Array set_tid = o.Get("setTid").As<Napi::Array>();
    for (uint32_t i = 0; i < set_tid.Length(); i++) spawn.set_tid.push_back(set_tid.Get(i).ToNumber().Int32Value());
  }
  if (!o.Get("unshare").IsUndefined()) spawn.unshare = static_cast<uint64_t>(number(o, "unshare"));
  Napi::Array stdio = o.Get("stdio").As<Napi::Array>();
  for (uint32_t i = 0; i < 3; i++) spawn.stdio[i] = stdio.Get(i).ToNumber().Int32Value();
  Spawned spawned = spawn_loader(spawn);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("pid", spawned.pid);
  result.Set("pidfd", spawned.pidfd);
  return result;
}

// A thread of its own: a program may run for days, and libuv's workers are few.
Napi::Value js_wait_exit(const Info& info) {
  int pid = integer(options(info), "pid");
  auto deferred = std::make_shared<Napi::Promise::Deferred>(Napi::Promise::Deferred::New(info.Env()));
  auto nothing = Napi::Function::New(info.Env(), [](const Info&) {});
  auto back = Napi::ThreadSafeFunction::New(info.Env(), nothing, "waitExit", 0, 1);
  std::thread([pid, deferred, back]() mutable {
    Ending ending{};
    try {
      ending = wait_exit(pid);
    } catch (const Error& error) {
      ending = {255, 0};
    }
    back.BlockingCall([deferred, ending](Napi::Env env, Napi::Function) {
      Napi::Object result = Napi::Object::New(env);
      if (ending.signal) {
        result.Set("signal", ending.signal);
      } else {
        result.Set("status", ending.status);
      }
      deferred->Resolve(result);
    });
    back.Release();
  }).detach();
  return deferred->Promise();
}

Napi::Value js_kill(const Info& info) {
  int pid = integer(options(info), "pid");
  if (kill(pid, integer(options(info), "signal")) < 0) fail(errno, "kill", "process " + std::to_string(pid));
  return info.Env().Undefined();
}

Napi::Value js_clocks(const Info& info) {
  Clocks clocks = read_clocks();
  Napi::Object o = Napi::Object::New(info.Env());
  o.Set("monotonic", Napi::BigInt::New(info.Env(), clocks.monotonic));
  o.Set("boottime", Napi::BigInt::New(info.Env(), clocks.boottime));
  o.Set("realtime", Napi::BigInt::New(info.Env(), clocks.realtime));
  return o;
}

Napi::Value js_xsave_layout(const Info& info) {
  XsaveLayout layout = xsave_layout();
  Napi::Object components = Napi::Object::New(info.Env());
  for (const auto& component : layout.components) {
    Napi::Object place = Napi::Object::New(info.Env());
    place.Set("offset", component.offset);
    place.Set("size", component.size);
    components.Set(component.bit, place);
  }
  Napi::Object o = Napi::Object::New(info.Env());
  o.Set("xcr0", Napi::BigInt::New(info.Env(), layout.xcr0));
  o.Set("size", layout.size);
  o.Set("components", components);
  return o;
}

}  // namespace

void add_system(Napi::Env env, Napi::Object exports) {
  add<js_system_call>(env, exports, "systemCall");
  add<js_pidfd_open>(env, exports, "pidfdOpen");
  add<js_pidfd_getfd>(env, exports, "pidfdGetfd");
  add<js_kcmp>(env, exports, "kcmp");
  add<js_close_fd>(env, exports, "closeFd");
  add<js_read_file>(env, exports, "readFile");
  add<js_peek_socket>(env, exports, "peekSocket");
  add<js_set_foreground>(env, exports, "setForeground");
  add<js_spawn_loader>(env, exports, "spawnLoader");
  add<js_wait_exit>(env, exports, "waitExit");
  add<js_kill>(env, exports, "kill");
  add<js_clocks>(env, exports, "clocks");
  add<js_xsave_layout>(env, exports, "xsaveLayout");
}

}  // namespace pmigrate::binding
