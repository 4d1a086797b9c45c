#pragma once
// The program's verbs, as somebody at a terminal calls them.

#include <sys/wait.h>

#include <cstdio>
#include <stdexcept>
#include <string>

namespace usher::tests {

struct said {
  std::string text;  ///< on standard output and standard error
  int code = 0;
};

/// Runs `usher` with these words, which the shell reads.
inline said run(const std::string& words) {
  std::FILE* output = ::popen((std::string{USHER_BINARY} + " " + words + " 2>&1 </dev/null").c_str(), "r");
  if (!output) throw std::runtime_error("no process");
  said out;
  for (int c = std::fgetc(output); c != EOF; c = std::fgetc(output)) out.text += static_cast<char>(c);
  const int status = ::pclose(output);
  out.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return out;
}

}  // namespace usher::tests
