import COneDNN
import Glibc

#if !arch(x86_64)
  import COpenBLAS
#endif

/// What the last bits of results depend on besides their inputs and the number of threads
/// (`Parallel.threads`).
public enum ComputeIdentity {
  /// To be raised with every change that gives any result other bits.
  static let kernels = 5

  /// One line: this project's kernels, the libraries' versions and the code paths that they choose
  /// on this processor. oneDNN divides its work by the sizes of the caches, too.
  public static let text: String = {
    var parts = ["kernels \(kernels)"]
    if let version = dnnl_version()?.pointee {
      parts.append("oneDNN \(version.major).\(version.minor).\(version.patch)")
    }
    if let name = dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa()) {
      parts.append(String(cString: name))
    }
    #if !arch(x86_64)
      if let core = openblas_get_corename() { parts.append("OpenBLAS \(String(cString: core))") }
    #endif
    let caches = [_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE]
    parts.append("caches \(caches.map { "\(sysconf(Int32($0)))" }.joined(separator: " "))")
    // Its exponential and trigonometric functions.
    var library = [CChar](repeating: 0, count: 64)
    if confstr(Int32(_CS_GNU_LIBC_VERSION), &library, library.count - 1) > 0 {
      parts.append(
        String(decoding: library.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
    return parts.joined(separator: ", ")
  }()
}
