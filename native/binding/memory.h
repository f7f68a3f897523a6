// The memory that JavaScript holds, by numbers: an object for each would cost a small call more than its kernel. What
// is in flight holds the storage itself.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "../runtime/storage.h"

namespace selective_scan {

// One environment's. A number is never given twice, so that one which has been released stays an error.
class Memories {
 public:
  Napi::Value add(Napi::Env env, std::shared_ptr<Storage> storage);

  // The storage behind a number; throws if there is none.
  const std::shared_ptr<Storage>& at(const Napi::Value& value) const;

  void remove(const Napi::Value& value);

 private:
  std::unordered_map<int64_t, std::shared_ptr<Storage>> storages_;
  int64_t last_ = 0;
};

void define_memory(Napi::Env env, Napi::Object exports);

}  // namespace selective_scan
