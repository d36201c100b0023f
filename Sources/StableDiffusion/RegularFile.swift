import Foundation

/// Whether a path, links followed, is that of a regular file: whoever opens a pipe may wait for ever.
func isRegularFile(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
}
