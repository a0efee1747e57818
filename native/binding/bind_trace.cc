// trace.h and remote.h for JavaScript.
#include "convert.h"
#include "remote.h"
#include "trace.h"

namespace pmigrate::binding {
namespace {

Napi::Value js_seize(const Info& info) {
  seize(integer(options(info), "tid"), static_cast<uint64_t>(number(options(info), "options")));
  return info.Env().Undefined();
}

Napi::Value js_interrupt(const Info& info) {
  interrupt(integer(options(info), "tid"));
  return info.Env().Undefined();
}

Napi::Value from_stop(Napi::Env env, const Stop& stop) {
  static const char* const kKinds[] = {"event", "signal", "syscall", "exited", "killed"};
  static const char* const kValues[] = {"event", "signal", "", "status", "signal"};
  int kind = static_cast<int>(stop.kind);
  Napi::Object o = Napi::Object::New(env);
  o.Set("kind", kKinds[kind]);
  if (*kValues[kind]) o.Set(kValues[kind], stop.value);
  if (stop.kind == StopKind::kEvent) o.Set("signal", stop.signal);
  return o;
}

Napi::Value js_wait_stop(const Info& info) {
  Stop stop{};
  bool stopped = wait_stop(integer(options(info), "tid"), number(options(info), "timeoutMs"), &stop);
  return stopped ? from_stop(info.Env(), stop) : info.Env().Undefined();
}

Napi::Value js_resume(const Info& info) {
  Napi::Object o = options(info);
  resume(integer(o, "tid"), o.Get("how").ToString(), integer(o, "signal"));
  return info.Env().Undefined();
}

Napi::Value js_detach(const Info& info) {
  detach(integer(options(info), "tid"), integer(options(info), "signal"));
  return info.Env().Undefined();
}

Napi::Value js_event_message(const Info& info) { return Napi::BigInt::New(info.Env(), event_message(integer(options(info), "tid"))); }

Napi::Value js_get_registers(const Info& info) {
  Registers registers = get_registers(integer(options(info), "tid"));
  return copy(info.Env(), &registers, sizeof registers);
}

Napi::Value js_set_registers(const Info& info) {
  Bytes data = bytes(options(info).Get("registers"));
  Registers registers;
  if (data.size != sizeof registers) fail(EINVAL, "setRegisters");
  memcpy(&registers, data.data, sizeof registers);
  set_registers(integer(options(info), "tid"), registers);
  return info.Env().Undefined();
}

Napi::Value js_get_xsave(const Info& info) { return copy(info.Env(), get_xsave(integer(options(info), "tid"))); }

Napi::Value js_set_xsave(const Info& info) {
  Bytes data = bytes(options(info).Get("xsave"));
  set_xsave(integer(options(info), "tid"), data.data, data.size);
  return info.Env().Undefined();
}

Napi::Value js_get_sigmask(const Info& info) { return Napi::BigInt::New(info.Env(), get_sigmask(integer(options(info), "tid"))); }

Napi::Value js_set_sigmask(const Info& info) {
  set_sigmask(integer(options(info), "tid"), u64(options(info), "mask"));
  return info.Env().Undefined();
}

Napi::Value js_peek_siginfo(const Info& info) {
  auto all = peek_siginfo(integer(options(info), "tid"), boolean(options(info), "shared"));
  Napi::Array array = Napi::Array::New(info.Env(), all.size());
  for (uint32_t i = 0; i < all.size(); i++) array.Set(i, copy(info.Env(), all[i]));
  return array;
}

Napi::Value js_get_siginfo(const Info& info) { return copy(info.Env(), get_siginfo(integer(options(info), "tid"))); }

Napi::Value js_get_rseq(const Info& info) {
  RseqConfiguration rseq = get_rseq(integer(options(info), "tid"));
  Napi::Object o = Napi::Object::New(info.Env());
  o.Set("address", Napi::BigInt::New(info.Env(), rseq.address));
  o.Set("size", rseq.size);
  o.Set("signature", rseq.signature);
  o.Set("flags", rseq.flags);
  return o;
}

RemoteCall to_call(const Napi::Object& o) {
  RemoteCall call{static_cast<uint64_t>(number(o, "number")), {}};
  Napi::Array args = o.Get("args").As<Napi::Array>();
  for (uint32_t i = 0; i < args.Length() && i < 6; i++) call.args[i] = to_u64(args.Get(i));
  return call;
}

Napi::Value js_remote_calls(const Info& info) {
  Napi::Object o = options(info);
  Napi::Array wanted = o.Get("calls").As<Napi::Array>();
  std::vector<RemoteCall> calls;
  for (uint32_t i = 0; i < wanted.Length(); i++) calls.push_back(to_call(wanted.Get(i).As<Napi::Object>()));
  std::vector<int64_t> results = remote_calls(integer(o, "tid"), u64(o, "site"), calls);
  Napi::Array array = Napi::Array::New(info.Env(), results.size());
  for (uint32_t i = 0; i < results.size(); i++) array.Set(i, Napi::BigInt::New(info.Env(), results[i]));
  return array;
}

Napi::Value js_run_loader(const Info& info) {
  Napi::Object o = options(info);
  LoaderRun run = run_loader(integer(o, "tid"), u64(o, "rip"), u64(o, "argument"), u64(o, "stack"), number(o, "timeoutMs"));
  Napi::Array born = Napi::Array::New(info.Env(), run.born.size());
  for (uint32_t i = 0; i < run.born.size(); i++) born.Set(i, Napi::Number::New(info.Env(), run.born[i]));
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("born", born);
  return result;
}

Napi::Value js_loader_call(const Info& info) {
  Napi::Object o = options(info);
  return Napi::BigInt::New(info.Env(), loader_call(integer(o, "tid"), u64(o, "rip"), to_call(o.Get("call").As<Napi::Object>())));
}

Napi::Value js_settle(const Info& info) {
  settle(integer(options(info), "tid"), number(options(info), "timeoutMs"));
  return info.Env().Undefined();
}

}  // namespace

void add_trace(Napi::Env env, Napi::Object exports) {
  add<js_seize>(env, exports, "seize");
  add<js_interrupt>(env, exports, "interrupt");
  add<js_wait_stop>(env, exports, "waitStop");
  add<js_resume>(env, exports, "resume");
  add<js_detach>(env, exports, "detach");
  add<js_event_message>(env, exports, "eventMessage");
  add<js_get_registers>(env, exports, "getRegisters");
  add<js_set_registers>(env, exports, "setRegisters");
  add<js_get_xsave>(env, exports, "getXsave");
  add<js_set_xsave>(env, exports, "setXsave");
  add<js_get_sigmask>(env, exports, "getSigmask");
  add<js_set_sigmask>(env, exports, "setSigmask");
  add<js_peek_siginfo>(env, exports, "peekSiginfo");
  add<js_get_siginfo>(env, exports, "getSiginfo");
  add<js_get_rseq>(env, exports, "getRseq");
  add<js_remote_calls>(env, exports, "remoteCalls");
  add<js_run_loader>(env, exports, "runLoader");
  add<js_loader_call>(env, exports, "loaderCall");
  add<js_settle>(env, exports, "settle");
}

}  // namespace pmigrate::binding
