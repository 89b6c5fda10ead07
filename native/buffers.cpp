// Memory for large outputs: what a dropped array leaves behind serves the next one, its pages already in place.
//
// A fresh page costs more than the numbers written to it, so up to two free pieces are kept, together at most a quarter
// of the machine's memory. A piece belongs to one Buffer at a time; arrays, views, memoryviews and DLPack capsules hold
// that object, and its end gives the piece back. Under the lock nothing calls Python or the system. The pool is never
// destroyed: arrays may die after it would. Around a fork the lock is held, so the child finds the list whole.
#include "buffers.hpp"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>

#if (defined(__unix__) || defined(__APPLE__)) && !defined(__SANITIZE_ADDRESS__)
#define CROSSENT_MAPPED 1  // the sanitizer wants memory that it can fence
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace nb = nanobind;

namespace crossent {
namespace {

constexpr size_t kHugePage = size_t(2) << 20, kPage = size_t(64) << 10;  // kPage: of any system, or a multiple of it
constexpr size_t kSlack = size_t(4) << 20;  // a kept piece serves what is smaller by a quarter, or by this
constexpr int kKept = 2;

struct Piece {
    void* data = nullptr;
    size_t bytes = 0;
};

#if defined(CROSSENT_MAPPED)
// Aligned to huge pages, and on them where the system grants it; data is null where there is no memory left.
Piece from_system(size_t bytes) {
    const size_t whole = bytes + kHugePage;
    void* mapped = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (mapped == MAP_FAILED) return {};
    char* const start = static_cast<char*>(mapped);
    char* const data = start + (kHugePage - reinterpret_cast<uintptr_t>(start) % kHugePage) % kHugePage;
    if (data != start) munmap(start, size_t(data - start));
    if (data + bytes != start + whole) munmap(data + bytes, size_t(start + whole - (data + bytes)));
#if defined(MADV_HUGEPAGE)
    madvise(data, bytes, MADV_HUGEPAGE);
#endif
    return {data, bytes};
}
void to_system(Piece piece) { munmap(piece.data, piece.bytes); }
#else
Piece from_system(size_t bytes) {
    void* data = ::operator new(bytes, std::align_val_t(64), std::nothrow);
    return {data, data ? bytes : 0};
}
void to_system(Piece piece) { ::operator delete(piece.data, std::align_val_t(64)); }
#endif

size_t quarter_of_memory() {
#if defined(_SC_PHYS_PAGES)
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && size > 0) return size_t(pages) / 4 * size_t(size);
#endif
    return size_t(1) << 30;
}

struct Pool {
    std::mutex lock;
    Piece kept[kKept];  // the one kept longest first
    int count = 0;
    bool on = true;
    const size_t limit = quarter_of_memory();
};

Pool& pool() {
    static Pool* const one = new Pool;
    return *one;
}

// The piece at index i, taken out of the list; under the lock.
Piece remove(Pool& p, int i) {
    const Piece piece = p.kept[i];
    for (--p.count; i < p.count; ++i) p.kept[i] = p.kept[i + 1];
    return piece;
}

size_t kept_bytes(const Pool& p) {
    size_t bytes = 0;
    for (int i = 0; i < p.count; ++i) bytes += p.kept[i].bytes;
    return bytes;
}

// The smallest kept piece that serves `bytes` without much waste, or one with null data.
Piece reuse(size_t bytes) {
    Pool& p = pool();
    const std::lock_guard<std::mutex> held(p.lock);
    const size_t most = bytes + (bytes / 4 > kSlack ? bytes / 4 : kSlack);
    int best = -1;
    for (int i = 0; i < p.count; ++i) {
        const size_t size = p.kept[i].bytes;
        if (size >= bytes && size <= most && (best < 0 || size < p.kept[best].bytes)) best = i;
    }
    return best < 0 ? Piece{} : remove(p, best);
}

// Keeps the piece for the next request; what no longer fits goes back to the system, longest kept first.
void give_back(Piece piece) {
    Pool& p = pool();
    Piece dropped[kKept + 1];
    int n = 0;
    {
        const std::lock_guard<std::mutex> held(p.lock);
        if (!p.on || piece.bytes > p.limit) {
            dropped[n++] = piece;
        } else {
            while (p.count == kKept || (p.count > 0 && kept_bytes(p) > p.limit - piece.bytes)) {
                dropped[n++] = remove(p, 0);
            }
            p.kept[p.count++] = piece;
        }
    }
    while (n > 0) to_system(dropped[--n]);
}

size_t empty_cache() {
    Pool& p = pool();
    Piece dropped[kKept];
    int n = 0;
    {
        const std::lock_guard<std::mutex> held(p.lock);
        while (p.count > 0) dropped[n++] = remove(p, 0);
    }
    size_t bytes = 0;
    while (n > 0) {
        bytes += dropped[--n].bytes;
        to_system(dropped[n]);
    }
    return bytes;
}

size_t pool_bytes() {
    Pool& p = pool();
    const std::lock_guard<std::mutex> held(p.lock);
    return kept_bytes(p);
}

void keep_buffers(bool on) {
    {
        Pool& p = pool();
        const std::lock_guard<std::mutex> held(p.lock);
        p.on = on;
    }
    if (!on) empty_cache();
}

// What an array's base holds. used: its pages were written to before.
class Buffer {
  public:
    explicit Buffer(size_t size) : size_(size) {
        if (size > SIZE_MAX / 2 - kHugePage) refuse(size);
        const size_t bytes = (size + kPage - 1) / kPage * kPage;
        piece_ = reuse(bytes);
        used = piece_.data != nullptr;
        if (!used) piece_ = from_system(bytes);
        if (!piece_.data && empty_cache() > 0) piece_ = from_system(bytes);
        if (!piece_.data) refuse(size);
    }
    ~Buffer() { give_back(piece_); }
    Buffer(const Buffer&) = delete;

    bool used;

    static int view(PyObject* self, Py_buffer* view, int flags) {
        if (!nb::inst_ready(self)) {
            view->obj = nullptr;
            PyErr_SetString(PyExc_BufferError, "crossent._native.Buffer holds no memory");
            return -1;
        }
        const Buffer* buffer = nb::inst_ptr<Buffer>(self);
        return PyBuffer_FillInfo(view, self, buffer->piece_.data, Py_ssize_t(buffer->size_), 0, flags);
    }

  private:
    [[noreturn]] static void refuse(size_t size) {
        PyErr_Format(PyExc_MemoryError, "crossent could not get %zu bytes for its result; out= takes a buffer", size);
        nb::raise_python_error();
    }
    Piece piece_;
    size_t size_;
};

// For the test of fork: another thread holds the lock while this one forks.
bool pool_is_locked() {
    std::unique_lock<std::mutex> held(pool().lock, std::try_to_lock);
    return !held.owns_lock();
}
void hold_pool_lock(double seconds) {
    nb::gil_scoped_release released;
    const std::lock_guard<std::mutex> held(pool().lock);
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace

void bind_buffers(nb::module_& m) {
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork([] { pool().lock.lock(); }, [] { pool().lock.unlock(); }, [] { pool().lock.unlock(); });
#endif
    nb::set_leak_warnings(false);  // arrays may outlive the interpreter's end, and their owners with them
    static PyType_Slot slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(&Buffer::view)}, {0, nullptr}};
    nb::class_<Buffer>(m, "Buffer", nb::type_slots(slots), nb::is_final(), "Memory of one array, from the pool.")
        .def(nb::init<size_t>(), nb::arg("size"))
        .def_rw("used", &Buffer::used, "Whether its pages were written to before.");
    m.def("empty_cache", &empty_cache, "Gives the kept pieces back to the system; the number of bytes.");
    m.def("pool_bytes", &pool_bytes, "Bytes in the pieces kept.");
    m.def("keep_buffers", &keep_buffers, nb::arg("on"), "Whether pieces are kept from now on.");
    m.def("pool_is_locked", &pool_is_locked, "Whether a thread holds the pool's lock: for the test of fork.");
    m.def("hold_pool_lock", &hold_pool_lock, nb::arg("seconds"), "Holds the pool's lock: for the test of fork.");
}

}  // namespace crossent
