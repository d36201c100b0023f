import Tensor
import Testing

@Suite struct TensorTests {
  @Test("changing a copy or a view leaves the original alone")
  func copiesAreValues() {
    let original = Tensor((0..<12).map(Float.init), shape: [3, 4])
    var copy = original
    copy.add(Tensor(repeating: 1, shape: [4]))
    var view = original.rows(1..<2)
    view.withMutableValues { $0[0] = -1 }
    #expect(original.values == (0..<12).map(Float.init))
    #expect(copy.values == (1..<13).map(Float.init))
    #expect(view.values == [-1, 5, 6, 7])
  }

  @Test("changes between layouts are each other's inverse, and move the right axis")
  func layouts() {
    let images = Tensor((0..<2 * 3 * 4 * 5).map(Float.init), shape: [2, 3, 4, 5])
    let last = images.channelsLast()
    #expect(last.shape == [2, 4, 5, 3])
    #expect(last.values[1] == 20 && last.values[3] == 1 && last.values[15] == 5)
    #expect(last.channelsFirst().values == images.values)
  }

  @Test("rows and channels can be cut and joined")
  func cuttingAndJoining() {
    let a = Tensor((0..<6).map(Float.init), shape: [2, 3])
    let b = Tensor([10, 11], shape: [2, 1])
    #expect(Tensor.concatenatedChannels(a, b).values == [0, 1, 2, 10, 3, 4, 5, 11])
    #expect(Tensor.concatenated([a.rows(1..<2), a]).values == [3, 4, 5, 0, 1, 2, 3, 4, 5])
    #expect(a.rows([1, 0, 1]).values == [3, 4, 5, 0, 1, 2, 3, 4, 5])
    #expect(a.channels(1..<3).values == [1, 2, 4, 5])
  }

  @Test("tensors hold what is put in, in buffers that others had before")
  func buffersHoldTheirOwn() {
    for round in 0..<50 {
      let tensors = (0..<8).map {
        Tensor(repeating: Float(round * 8 + $0), shape: [1000 + $0 * 37])
      }
      for (index, tensor) in tensors.enumerated() {
        #expect(tensor.values.allSatisfy { $0 == Float(round * 8 + index) })
      }
    }
  }
}
