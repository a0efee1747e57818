// memory.h for JavaScript; bulk work runs on libuv's worker threads.
#include <functional>
#include <memory>

#include "convert.h"

namespace pmigrate::binding {
namespace {

// Runs `work` on a worker thread and settles a promise with what `result` makes of it. Buffers are kept alive meanwhile.
class Job : public Napi::AsyncWorker {
 public:
  using Result = std::function<Napi::Value(Napi::Env)>;

  Job(Napi::Env env, const Napi::Object& keep, std::function<void()> work, Result result)
      : AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), keep_(Napi::Persistent(keep)), work_(std::move(work)), result_(std::move(result)) {}

  Napi::Value start() {
    Napi::Value promise = deferred_.Promise();
    Queue();
    return promise;
  }

 protected:
  void Execute() override {
    try {
      work_();
    } catch (const Error& error) {
      error_ = std::make_unique<Error>(error);
    }
  }
  void OnOK() override {
    if (error_) {
      deferred_.Reject(to_js(Env(), *error_).Value());
    } else {
      deferred_.Resolve(result_(Env()));
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference keep_;
  std::function<void()> work_;
  Result result_;
  std::unique_ptr<Error> error_;
};

Napi::Value undefined(Napi::Env env) { return env.Undefined(); }

Napi::Value js_read_memory(const Info& info) {
  Napi::Object o = options(info);
  return copy(info.Env(), read_memory(integer(o, "pid"), u64(o, "address"), static_cast<size_t>(number(o, "length"))));
}

Napi::Value js_write_memory(const Info& info) {
  Napi::Object o = options(info);
  Bytes data = bytes(o.Get("data"));
  write_memory(integer(o, "pid"), u64(o, "address"), data.data, data.size);
  return info.Env().Undefined();
}

size_t total(const std::vector<Run>& runs) {
  size_t sum = 0;
  for (const Run& run : runs) sum += run.bytes;
  return sum;
}

// The buffer's part from `offset` on, which must have room for `wanted` bytes.
uint8_t* room(const Napi::Object& o, size_t wanted) {
  Bytes buffer = bytes(o.Get("buffer"));
  size_t offset = static_cast<size_t>(number(o, "offset"));
  if (offset + wanted > buffer.size) fail(EINVAL, "a buffer that is too small");
  return buffer.data + offset;
}

Napi::Value js_read_pages(const Info& info) {
  Napi::Object o = options(info);
  auto ranges = std::make_shared<std::vector<Run>>(runs(o.Get("ranges")));
  uint8_t* to = room(o, total(*ranges));
  int pid = integer(o, "pid");
  bool skip_zero = boolean(o, "skipZero");
  auto read = std::make_shared<PagesRead>();
  auto result = [read](Napi::Env env) -> Napi::Value {
    Napi::Object out = Napi::Object::New(env);
    out.Set("runs", from_runs(env, read->runs));
    out.Set("bytes", static_cast<double>(read->bytes));
    out.Set("lost", static_cast<double>(read->lost));
    return out;
  };
  return (new Job(info.Env(), o, [=] { *read = read_pages(pid, *ranges, to, skip_zero); }, result))->start();
}

Napi::Value js_write_pages(const Info& info) {
  Napi::Object o = options(info);
  auto wanted = std::make_shared<std::vector<Run>>(runs(o.Get("runs")));
  const uint8_t* from = room(o, total(*wanted));
  int pid = integer(o, "pid");
  return (new Job(info.Env(), o, [=] { write_pages(pid, *wanted, from); }, undefined))->start();
}

Napi::Value js_write_pages_if_different(const Info& info) {
  Napi::Object o = options(info);
  auto wanted = std::make_shared<std::vector<Run>>(runs(o.Get("runs")));
  const uint8_t* from = room(o, total(*wanted));
  int pid = integer(o, "pid");
  auto written = std::make_shared<size_t>(0);
  auto result = [written](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, static_cast<double>(*written)); };
  return (new Job(info.Env(), o, [=] { *written = write_pages_if_different(pid, *wanted, from); }, result))->start();
}

Napi::Value js_scan_pages(const Info& info) {
  Napi::Object o = options(info);
  Napi::Value wanted = o.Get("method");
  std::string name = wanted.IsUndefined() ? "auto" : wanted.ToString().Utf8Value();
  ScanMethod method = name == "scan" ? ScanMethod::kScan : name == "pagemap" ? ScanMethod::kPagemap : ScanMethod::kAuto;
  bool used_scan = false;
  auto ranges = scan_pages(integer(o, "pid"), u64(o, "start"), u64(o, "end"), static_cast<uint64_t>(number(o, "anyOf")), method, &used_scan);
  Napi::BigUint64Array array = Napi::BigUint64Array::New(info.Env(), ranges.size() * 3);
  if (!ranges.empty()) memcpy(array.Data(), ranges.data(), ranges.size() * sizeof(PageRange));
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("ranges", array);
  out.Set("method", used_scan ? "scan" : "pagemap");
  return out;
}

}  // namespace

void add_memory(Napi::Env env, Napi::Object exports) {
  add<js_read_memory>(env, exports, "readMemory");
  add<js_write_memory>(env, exports, "writeMemory");
  add<js_read_pages>(env, exports, "readPages");
  add<js_write_pages>(env, exports, "writePages");
  add<js_write_pages_if_different>(env, exports, "writePagesIfDifferent");
  add<js_scan_pages>(env, exports, "scanPages");
}

}  // namespace pmigrate::binding
