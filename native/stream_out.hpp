// Writes consecutive elements past the caches: whole lines of 64 bytes, whatever the alignment of the destination.
#pragma once

#include "memory.hpp"

namespace {

// Elements go where `room` says, then `commit` sends the full lines; the rest waits for the next ones. kRoom elements
// at most between two commits. The first and the last line are shared with others and written as plain bytes.
template <class S, int64_t kRoom> class StreamOut {
  public:
    CROSSENT_INLINE explicit StreamOut(S* to)
        : line_(reinterpret_cast<char*>(to) - reinterpret_cast<uintptr_t>(to) % 64),
          head_(reinterpret_cast<uintptr_t>(to) % 64), filled_(head_) {}
    CROSSENT_INLINE S* room() { return reinterpret_cast<S*>(lines_ + filled_); }
    CROSSENT_INLINE void commit(int64_t n) {
        const size_t end = filled_ + size_t(n) * sizeof(S);
        size_t at = 0;
        if (head_ != 0 && end >= 64) {
            __builtin_memcpy(line_ + head_, lines_ + head_, 64 - head_);
            head_ = 0;
            at = 64;
        }
        for (; at + 64 <= end; at += 64) {
            CROSSENT_UNROLL for (size_t v = at; v < at + 64; v += CROSSENT_LANE_BYTES) {
                stream(reinterpret_cast<float*>(line_ + v), load(reinterpret_cast<const float*>(lines_ + v)));
            }
        }
        const size_t sent = end / 64 * 64;
        if (sent != 0) __builtin_memcpy(lines_, lines_ + sent, 64);
        line_ += sent;
        filled_ = end - sent;
    }
    CROSSENT_INLINE void finish() {
        __builtin_memcpy(line_ + head_, lines_ + head_, filled_ - head_);
        end_stream();
    }

  private:
    char* line_;               // where lines_ goes
    size_t head_, filled_;     // bytes of lines_ that are not ours (only in the first line), bytes in use
    alignas(64) char lines_[size_t(kRoom) * sizeof(S) + 128];
};

}  // namespace
