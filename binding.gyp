{
  "targets": [
    {
      "target_name": "pmigrate",
      "sources": [
        "native/trace.cc", "native/remote.cc", "native/loader_run.cc", "native/memory.cc", "native/pagemap.cc", "native/process.cc", "native/fds.cc",
        "native/binding/addon.cc", "native/binding/bind_trace.cc", "native/binding/bind_memory.cc", "native/binding/bind_system.cc"
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")", "native", "pload"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17"],
      "cflags_cc": ["-std=c++17", "-fexceptions", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-fvisibility=hidden"]
    }
  ]
}
