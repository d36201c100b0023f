import CKernels
import Foundation
import Testing

@testable import Tensor

/// The whole model by the built `stemctl`, on processors that this one passes for.
@Suite struct ProcessorTests {
  private struct Comparison {
    let status: Int32
    /// Each compared tensor's relative error.
    let errors: [String: Double]
  }

  private func verify(_ arguments: [String] = [], _ environment: [String: String] = [:]) throws
    -> Comparison
  {
    let repository = URL(filePath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let process = Process()
    process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appending(path: "stemctl")
    process.arguments =
      [
        "verify", repository.appending(path: "Models/tiny-world").path(percentEncoded: false),
        repository.appending(path: "Tests/VideoEditingTests/Goldens/tiny-world-104x72.safetensors")
          .path(percentEncoded: false), "--threads", "2",
      ] + arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    var errors: [String: Double] = [:]
    for line in text.split(separator: "\n").dropFirst() {
      let words = line.split(separator: " ")
      if words.count >= 4 { errors[String(words[0])] = Double(words[1]) }
    }
    return Comparison(status: process.terminationStatus, errors: errors)
  }

  /// In a process of their own, for the choice is made once in a process.
  @Test(
    "our own kernels pass their tests in the forms for older processors",
    arguments: [("AVX2", "Haswell"), ("SSE41", "Nehalem")])
  func olderForms(instructions: String, core: String) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments =
      ["--testing-library", "swift-testing"]
      + [
        "KernelFormTests", "WideRangeTests", "NormalisationTests", "GatedFeedForwardTests",
        "WinogradTests", "ConvolutionTests",
      ].flatMap { ["--filter", $0] }
    process.environment = ProcessInfo.processInfo.environment.merging(
      ["ONEDNN_MAX_CPU_ISA": instructions, "OPENBLAS_CORETYPE": core, "NO_COLOR": "1"]) { $1 }
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    // They did run: a filter that fits nothing passes, too.
    #expect(text.contains("Suite KernelFormTests passed"), "\(text)")
    #expect(text.contains("Suite WinogradTests passed"), "\(text)")
  }

  /// OpenBLAS chooses for itself, and has to be told too.
  @Test(
    "every component agrees with PyTorch by the kernels for older processors",
    arguments: [("AVX2", "Haswell"), ("SSE41", "Nehalem")])
  func olderProcessors(instructions: String, core: String) throws {
    let environment = ["ONEDNN_MAX_CPU_ISA": instructions, "OPENBLAS_CORETYPE": core]
    let comparison = try verify([], environment)
    #expect(comparison.status == 0)
    #expect(comparison.errors.count == 18)
    // It does pass for an older one: mixed precision is refused.
    #expect(try verify(["--precision", "mixed"], environment).status == 64)
  }

  @Test(
    "mixed precision stays near PyTorch's full one", .enabled(if: Precision.isMixedSupported))
  func mixed() throws {
    let comparison = try verify(["--precision", "mixed"])
    #expect(comparison.status == 0)
    // Some three times what was measured: 9.7e-4, 2.5e-3 and 1.0e-3.
    for (name, bound) in [("unet.output", 3e-3), ("vae.mean", 8e-3), ("vae.decoded", 3e-3)] {
      let error = try #require(comparison.errors[name])
      // More than what full precision has: it is indeed computed in bf16.
      #expect((1e-4..<bound).contains(error), "\(name): \(error)")
    }
  }
}

/// What `ProcessorTests.olderForms` relies on.
@Suite struct KernelFormTests {
  @Test("our kernels take the form that oneDNN's environment leaves them")
  func form() {
    switch ProcessInfo.processInfo.environment["ONEDNN_MAX_CPU_ISA"] {
    case "SSE41": #expect(kernels_instructions() == kernels_any)
    case "AVX2": #expect(kernels_instructions() == (hasAVX2 ? kernels_avx2 : kernels_any))
    default:
      #expect((kernels_instructions() == kernels_avx512) == kernels_have_avx512())
      #expect((kernels_instructions() == kernels_any) == !hasAVX2)
    }
  }

  /// As the system tells it.
  private var hasAVX2: Bool {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let features = text.split(separator: "\n").first { $0.hasPrefix("flags") }?.split(
      separator: " ")
    return features?.contains("avx2") == true && features?.contains("fma") == true
  }
}
