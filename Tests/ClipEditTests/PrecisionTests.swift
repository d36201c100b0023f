import EditSettings
import Foundation
import Tensor
import Testing

@testable import ClipEdit

@Suite struct PrecisionTests {
  @Test("auto is what is fastest here, and mixed where there is none is full, in a sentence")
  func resolution() {
    var notes: [String] = []
    func resolved(_ setting: PrecisionSetting) -> Precision {
      setting.resolved { notes.append($0) }
    }
    #expect(resolved(.auto) == .automatic)
    #expect(resolved(.full) == .full)
    #expect(notes == [])
    #expect(resolved(.mixed) == (Precision.isMixedSupported ? .mixed : .full))
    #expect(notes.isEmpty == Precision.isMixedSupported)
  }

  @Test("figures and checkpoint say in what they were computed", arguments: Precision.allCases)
  func told(precision: Precision) throws {
    guard precision == .full || Precision.isMixedSupported else { return }
    let folder = try TemporaryFolder()
    var run = EditRun(checkpoint: folder.path("c"))
    run.precision = precision
    // What the model computes in counts, not what was asked for.
    run.settings.precision = .auto
    #expect(try run().precision?.rawValue == precision.rawValue)
    let manifest = try #require(try CheckpointFolder(folder.path("c")).manifest())
    #expect(manifest.fingerprint["precision"] == precision.rawValue)
  }

  @Test(
    "an edit is never gone on with in another precision, nor on an inversion of another",
    .enabled(if: Precision.isMixedSupported))
  func neverMingled() throws {
    let folder = try TemporaryFolder()
    var run = EditRun(checkpoint: folder.path("c"), cache: folder.path("cache"))
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "edit 1") }
    run.precision = .mixed
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "edit 1") }
    #expect(
      run.notes == [
        "starts anew, for the checkpoint cannot be used: it is of another edit (other are precision)"
      ])
    #expect(run.steps.contains("invert 1"))
    #expect(try names(in: folder.path("cache/inversions")).count == 2)
    // Each has its own.
    for precision in Precision.allCases {
      var again = EditRun(cache: folder.path("cache"))
      again.precision = precision
      #expect(try again().inversionReused)
    }
  }

  @Test("a precision of another version is none, and costs no other figure")
  func otherVersion() throws {
    let figures = EditFigures(
      frames: 3, size: FrameSize(width: 8, height: 16), frameRate: 25, precision: .mixed)
    let json = String(decoding: try JSONEncoder().encode(figures), as: UTF8.self)
    #expect(json.contains(#""precision":"mixed""#))
    func decoded(_ json: String) throws -> EditFigures {
      try JSONDecoder().decode(EditFigures.self, from: Data(json.utf8))
    }
    #expect(try decoded(json) == figures)
    let other = try decoded(json.replacing(#""mixed""#, with: #""quarter""#))
    #expect(other.precision == nil && other.frames == 3)
    let old = try decoded(
      json.replacing(#""precision":"mixed","#, with: "").replacing(
        #","precision":"mixed""#, with: ""))
    #expect(old == other)
  }

  // MARK: The programs

  /// oneDNN takes the processor for one without bf16.
  private static let withoutMixed = ["ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_WAIT_POLICY": "passive"]

  private func stemctl(_ arguments: [String], _ environment: [String: String]) throws -> (
    status: Int32, errors: String
  ) {
    let process = Process()
    process.executableURL = program("stemctl")
    process.arguments = arguments
    process.environment = environment
    let errors = Pipe()
    process.standardOutput = FileHandle.nullDevice
    process.standardError = errors
    try process.run()
    let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, said)
  }

  @Test(
    "edit computes in what was asked for where it can, and says in what it did",
    arguments: ["full", "mixed", nil])
  func edit(asked: String?) throws {
    let folder = try TemporaryFolder()
    let (status, said) = try stemctl(
      [
        "edit", TinyWorld.clip, "--model", TinyWorld.folder.path, "--output",
        folder.path("edited.mp4"), "--metrics", folder.path("figures.json"), "--prompt", "a cube",
        "--steps", "1", "--frames", "1", "--size", "64x64",
      ] + (asked.map { ["--precision", $0] } ?? []), Self.withoutMixed)
    #expect(status == 0, "\(said)")
    let sentence = "note: computes in full precision, for this machine's processor"
    #expect(said.contains(sentence) == (asked == "mixed"), "\(said)")
    #expect(said.contains(", in full precision\n"), "\(said)")
    let figures = try JSONDecoder().decode(
      EditFigures.self, from: Data(contentsOf: URL(fileURLWithPath: folder.path("figures.json"))))
    #expect(figures.precision == .full)
  }

  @Test(
    "verify refuses what the processor does not support, and what there is not",
    arguments: [
      ("mixed", "--precision mixed needs a processor that multiplies 16-bit brain floats"),
      ("auto", "one of 'full' and 'mixed'"),
    ])
  func verify(asked: String, sentence: String) throws {
    let (status, said) = try stemctl(
      ["verify", TinyWorld.folder.path, "/dev/null", "--precision", asked], Self.withoutMixed)
    #expect(status == 64 && said.contains(sentence), "\(said)")
  }
}
