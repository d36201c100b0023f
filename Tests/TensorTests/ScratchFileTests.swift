import Foundation
import Tensor
import Testing

@Suite struct ScratchFileTests {
  @Test("tensors come back as they were, also after their pages were given back")
  func keeps() throws {
    let file = try ScratchFile(folder: NSTemporaryDirectory())
    let given = [[3, 5, 7], [1], [2048, 3], [0, 4]].enumerated().map {
      RandomNumbers(seed: UInt64($0), stream: "scratch").normal($1)
    }
    let kept = try given.map(file.keep)
    for _ in 0..<2 {
      for (kept, given) in zip(kept, given) {
        #expect(kept.shape == given.shape && kept.values == given.values)
        kept.releasePages()
      }
    }
    var changed = kept[0]
    changed.withMutableValues { $0[0] = 7 }
    #expect(changed.values[0] == 7 && kept[0].values == given[0].values)
  }

  @Test("a tensor in memory keeps its elements")
  func inMemory() {
    let tensor = Tensor([1, 2, 3], shape: [3])
    tensor.releasePages()
    #expect(tensor.values == [1, 2, 3])
  }

  @Test("a folder that cannot be written to is named")
  func unwritable() {
    let error = #expect(throws: DurableFileError.self) { try ScratchFile(folder: "/proc/nowhere") }
    #expect("\(error!)".contains("/proc/nowhere"))
  }
}
