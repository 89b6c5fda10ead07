// Feeds random inputs to the entry point for a number of seconds: for compilers without libFuzzer.
//
//   fuzz_native -max_total_time=60 -artifact_prefix=DIR/ [-seed=1]    new inputs; a crash leaves DIR/crash-SEED-N
//   fuzz_native FILE...                                              runs these inputs again
// The options are libFuzzer's, so whoever starts it need not know which engine it got.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace {

std::vector<uint8_t> input;
char crash_file[4096];

// What is left of the process may be little: no allocation, no stdio.
void save_input() {
    const int file = open(crash_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0) return;
    if (write(file, input.data(), input.size()) == ssize_t(input.size())) {
        static const char saved[] = "\nThe input was saved to ";
        if (write(2, saved, sizeof saved - 1) && write(2, crash_file, std::strlen(crash_file)) && write(2, "\n", 1)) {}
    }
    close(file);
}

void on_signal(int number) {
    save_input();
    std::signal(number, SIG_DFL);
    std::raise(number);
}

uint64_t state;
uint64_t random_number() {  // splitmix64
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int replay(const char* path) {
    std::FILE* file = std::fopen(path, "rb");
    if (!file) {
        std::fprintf(stderr, "cannot open %s\n", path);
        return 1;
    }
    uint8_t buffer[4096];
    std::vector<uint8_t> bytes;
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) bytes.insert(bytes.end(), buffer, buffer + n);
    std::fclose(file);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    std::fprintf(stderr, "%s: no crash\n", path);
    return 0;
}

void explore(double seconds, uint64_t seed, const std::string& prefix, const std::string& exact) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::duration<double>(seconds);
    int64_t runs = 0;
    std::snprintf(crash_file, sizeof crash_file, "%s", exact.c_str());
    for (; Clock::now() < end; ++runs) {
        state = seed + uint64_t(runs) * 0x632be59bd9b4e019u;
        if (exact.empty()) {
            std::snprintf(crash_file, sizeof crash_file, "%scrash-%llu-%lld", prefix.c_str(), (unsigned long long)seed,
                          (long long)runs);
        }
        input.resize(random_number() % 256);
        for (uint8_t& byte : input) byte = uint8_t(random_number() >> 32);
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    std::fprintf(stderr, "Done %lld runs in %.0f second(s), seed %llu\n", (long long)runs, seconds,
                 (unsigned long long)seed);
}

// The value of -name=value.
const char* option(const char* argument, const char* name) {
    const size_t n = std::strlen(name);
    return argument[0] == '-' && std::strncmp(argument + 1, name, n) == 0 && argument[n + 1] == '=' ? argument + n + 2
                                                                                                   : nullptr;
}

}  // namespace

int main(int argc, char** argv) {
    double seconds = 60;
    uint64_t seed = uint64_t(std::chrono::system_clock::now().time_since_epoch().count());
    std::string prefix, exact;
    std::vector<const char*> files;
    for (int i = 1; i < argc; ++i) {
        if (const char* v = option(argv[i], "max_total_time")) seconds = std::atof(v);
        else if (const char* v = option(argv[i], "seed")) seed = std::strtoull(v, nullptr, 10);
        else if (const char* v = option(argv[i], "artifact_prefix")) prefix = v;
        else if (const char* v = option(argv[i], "exact_artifact_path")) exact = v;
        else if (argv[i][0] != '-') files.push_back(argv[i]);
    }
    if (!files.empty()) {
        int failed = 0;
        for (const char* file : files) failed |= replay(file);
        return failed;
    }
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(save_input);
    for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(number, on_signal);
    explore(seconds, seed, prefix, exact);
    return 0;
}
