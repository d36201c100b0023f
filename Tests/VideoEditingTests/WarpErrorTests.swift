import Tensor
import Testing

@testable import VideoEditing

private let isWithoutFlow = OpticalFlow.absence(height: 72, width: 104) != nil

/// `Tests/References/motion_reference.py` makes the numbers.
@Suite(.disabled(if: isWithoutFlow, "built without OpenCV")) struct WarpErrorTests {
  private let golden: EditorGolden
  /// 8-bit values.
  private let frames: Tensor

  init() throws {
    golden = try EditorGolden("motion-104x72")
    frames = try golden.tensor("source")
  }

  private var source: Tensor { frames.mapped { $0 / 127.5 - 1 } }

  /// Half as bright and flickering.
  private var edited: Tensor {
    Tensor.concatenated(
      (0..<frames.shape[0]).map { frame in
        frames.rows(frame..<frame + 1).mapped {
          (($0 / 2).rounded(.down) + Float(17 * (frame % 3))) / 127.5 - 1
        }
      })
  }

  private var greys: [GreyPicture] {
    GreyPicture.each(of: source.pixels, height: 72, width: 104)
  }

  @Test("the flow is OpenCV's")
  func flow() throws {
    let flows = try OpticalFlow.flows([(from: greys[1], to: greys[0]), (greys[0], greys[1])])
    #expect(relativeError(flows[0], try golden.tensor("backward")) < 1e-2)
    #expect(relativeError(flows[1], try golden.tensor("forward")) < 1e-2)
  }

  @Test("pixels out of sight are those that OpenCV's flow loses on the way back")
  func visible() throws {
    let motion = FrameMotion(
      backward: try golden.tensor("backward"), forward: try golden.tensor("forward"))
    let theirs = try golden.tensor("visible").values
    let ours = stride(from: 2, to: motion.field.count, by: 3).map { motion.field.values[$0] }
    let different = zip(ours, theirs).count { $0 != $1 }
    // OpenCV knows 32 places between two pixels.
    #expect(different * 200 < theirs.count)
  }

  @Test(
    "agrees with what Python and OpenCV make of source and edit, in whatever portions they come")
  func reference() throws {
    var (whole, parts) = (WarpError(), WarpError())
    #expect(whole.mean == nil)
    try whole.add(source: source, edited: edited)
    for range in [0..<1, 1..<2, 2..<4] {
      try parts.add(source: source.rows(range), edited: edited.rows(range))
    }
    #expect(whole.values.map(\.frame) == [1, 2, 3])
    #expect(parts.values.map(\.edited) == whole.values.map(\.edited))
    #expect(parts.values.map(\.source) == whole.values.map(\.source))
    let theirs = (
      edited: try golden.tensor("warp.edited").values.map(Double.init),
      source: try golden.tensor("warp.source").values.map(Double.init)
    )
    for (index, value) in whole.values.enumerated() {
      #expect(abs(value.edited - theirs.edited[index]) < 1e-2 * theirs.edited[index])
      #expect(abs(value.source - theirs.source[index]) < 1e-2 * theirs.source[index])
    }
    let mean = try #require(whole.mean)
    #expect(abs(mean.edited - whole.values.reduce(0) { $0 + $1.edited } / 3) < 1e-9)
  }

  @Test("has the same bits whatever the number of threads")
  func threads() throws {
    let before = Parallel.threads
    defer { Parallel.threads = before }
    let results = try [1, 2, 5].map { threads in
      Parallel.threads = threads
      var error = WarpError()
      try error.add(source: source, edited: edited)
      return error.values.flatMap { [$0.edited, $0.source] }
    }
    #expect(results[1] == results[0] && results[2] == results[0])
  }

  @Test("an edit without flicker scores what a still clip does: nothing")
  func still() throws {
    let still = source.rows([2, 2, 2])
    var error = WarpError()
    try error.add(source: still, edited: edited.rows([1, 1, 1]))
    #expect(try #require(error.mean).edited < 1e-3)
  }

  @Test("frames too small for OpenCV are told beforehand")
  func small() throws {
    #expect(OpticalFlow.absence(height: 11, width: 64) != nil)
    #expect(OpticalFlow.absence(height: 12, width: 12) == nil)
    let picture = GreyPicture(pixels: [UInt8](repeating: 7, count: 432)[...], height: 12, width: 12)
    #expect(try OpticalFlow.flows([(picture, picture)])[0].shape == [12, 12, 2])
    let tiny = GreyPicture(pixels: [UInt8](repeating: 7, count: 48)[...], height: 4, width: 4)
    #expect(throws: OpticalFlowError.self) { try OpticalFlow.flows([(tiny, tiny)]) }
  }
}
