import COneDNN
import Foundation
import VideoEditing

/// The libraries that this process has loaded: the workers use the same.
struct LibrariesCheck: Check {
  let topic = "libraries"

  func findings() -> [Finding] {
    let files = Self.loadedFiles
    return [oneDNN(files), openBLAS(files), threads(files), opticalFlow(files)]
      + [
        plain("libavformat", Self.libAV("avformat_version"), files),
        plain("libavcodec", Self.libAV("avcodec_version"), files),
        plain("libavutil", Self.libAV("avutil_version"), files),
        plain("libswresample", Self.libAV("swresample_version"), files),
        plain("libswscale", Self.libAV("swscale_version"), files),
        plain("libzmq", Self.zeroMQ, files),
        plain("SQLite", Self.text("sqlite3_libversion"), files, file: "libsqlite3"),
        plain("libsystemd", nil, files),
        plain("libseccomp", nil, files),
        plain("libcrypto", nil, files),
        plain("utf8proc", Self.text("utf8proc_version"), files, file: "libutf8proc"),
        plain("the C library", Self.text("gnu_get_libc_version"), files, file: "libc"),
      ]
  }

  private func oneDNN(_ files: [String]) -> Finding {
    guard let version = dnnl_version()?.pointee else {
      return .problem("oneDNN does not say its version", fix: "apt install --reinstall libdnnl2")
    }
    let text =
      "oneDNN \(version.major).\(version.minor).\(version.patch)\(Self.place("libdnnl", files))"
    guard version.cpu_runtime == UInt32(DNNL_RUNTIME_OMP) else {
      return .warning(
        "\(text) was built without OpenMP, and has threads of its own besides stemd's",
        fix: "take Debian's: apt install --reinstall libdnnl2, and look into LD_LIBRARY_PATH")
    }
    return .ok(text)
  }

  private func openBLAS(_ files: [String]) -> Finding {
    guard let core = Self.text("openblas_get_corename") else {
      return .ok("OpenBLAS is not used on this processor, where oneDNN multiplies all matrices")
    }
    let version =
      Self.text("openblas_get_config")?.split(separator: " ").first { $0.first?.isNumber == true }
    let text =
      "OpenBLAS \(version ?? "of an unknown version") for \(core)\(Self.place("libopenblas", files))"
    // 0 has one thread, 1 threads of its own, 2 OpenMP.
    guard Self.number("openblas_get_parallel") == 2 else {
      return .warning(
        "\(text) was built without OpenMP, and has threads of its own besides stemd's",
        fix:
          "apt install libopenblas0-openmp && update-alternatives --auto libopenblas.so.0-\(Self.triplet)"
      )
    }
    return .ok(text)
  }

  private func threads(_ files: [String]) -> Finding {
    let runtimes = ["libgomp", "libomp", "libiomp5"].filter { !Self.place($0, files).isEmpty }
    guard runtimes.count <= 1 else {
      return .warning(
        "\(runtimes.joined(separator: " and ")) are loaded, which both start a thread for every processor",
        fix: "unset LD_PRELOAD, and take Debian's oneDNN and OpenBLAS, which share libgomp")
    }
    return plain("libgomp", nil, files)
  }

  private func opticalFlow(_ files: [String]) -> Finding {
    guard OpticalFlow.isBuiltIn else {
      return .warning(
        "OpenCV was not there when this was built: flicker (warp_error) and the consistency of features are not measured, and clips that are compared have no names",
        fix: "apt install libopencv-video-dev, and build stemd again")
    }
    return plain("OpenCV", nil, files, file: "libopencv_core")
  }

  /// - Parameters:
  ///   - version: as the library itself says; the end of its file's name otherwise.
  ///   - file: how its file's name begins, where that is another.
  private func plain(_ name: String, _ version: String?, _ files: [String], file: String? = nil)
    -> Finding
  {
    let place = Self.place(file ?? name, files)
    guard version != nil || !place.isEmpty else {
      return .ok("\(name) is linked into this program")
    }
    return .ok(name + (version.map { " \($0)" } ?? "") + place)
  }

  // MARK: What is loaded

  /// The shared libraries in this process's memory, links resolved.
  private static let loadedFiles: [String] = {
    let maps = kernelText("/proc/self/maps")
    let paths = maps.split(separator: "\n").compactMap { line in
      line.firstIndex(of: "/").map { String(line[$0...]) }
    }
    return Set(paths).filter { $0.contains(".so") }.sorted()
  }()

  /// ` (libdnnl.so.2.7)`, with its folder where that is not the system's; empty for one that is not
  /// loaded.
  private static func place(_ name: String, _ files: [String]) -> String {
    files.first { path in
      let file = path.split(separator: "/").last ?? ""
      return file.hasPrefix(name + ".so") || file.hasPrefix(name + "-") && file.contains(".so")
    }.map { path in
      let isSystems = ["/usr/lib/", "/lib/"].contains { path.hasPrefix($0) }
      return " (\(isSystems ? (path as NSString).lastPathComponent : path))"
    } ?? ""
  }

  // Looked up by name in what is loaded: a library that this processor needs nothing of is to stay
  // out of memory.

  private static func text(_ function: String) -> String? {
    guard let symbol = dlsym(nil, function) else { return nil }
    typealias Function = @convention(c) () -> UnsafePointer<CChar>?
    return unsafeBitCast(symbol, to: Function.self)().map { String(cString: $0) }
  }

  private static func number(_ function: String) -> UInt32? {
    guard let symbol = dlsym(nil, function) else { return nil }
    typealias Function = @convention(c) () -> UInt32
    return unsafeBitCast(symbol, to: Function.self)()
  }

  /// Their versions are three bytes of a number.
  private static func libAV(_ function: String) -> String? {
    number(function).map { "\($0 >> 16).\($0 >> 8 & 0xff).\($0 & 0xff)" }
  }

  private static var zeroMQ: String? {
    guard let symbol = dlsym(nil, "zmq_version") else { return nil }
    typealias Pointer = UnsafeMutablePointer<Int32>
    typealias Function = @convention(c) (Pointer, Pointer, Pointer) -> Void
    var (major, minor, patch): (Int32, Int32, Int32) = (0, 0, 0)
    unsafeBitCast(symbol, to: Function.self)(&major, &minor, &patch)
    return "\(major).\(minor).\(patch)"
  }

  #if arch(arm64)
    private static let triplet = "aarch64-linux-gnu"
  #else
    private static let triplet = "x86_64-linux-gnu"
  #endif
}
