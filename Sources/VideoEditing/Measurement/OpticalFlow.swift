import COpticalFlow
import Tensor

#if canImport(COpenCV)
  // Links what COpticalFlow calls.
  import COpenCV
#endif

/// Where the pixels of a picture are in another one, by OpenCV's DIS; the same bits whatever the
/// number of threads.
public enum OpticalFlow {
  /// Pictures with a shorter side have none.
  public static let leastSide = 12

  /// Whether OpenCV was there when this was built.
  public static var isBuiltIn: Bool { optical_flow_is_built_in() }

  /// Why there can be none, as what stands after a colon; `nil` where there can.
  ///
  /// - Parameters:
  ///   - height, width: of the pictures.
  public static func absence(height: Int, width: Int) -> String? {
    guard isBuiltIn else { return "this program was built without OpenCV" }
    guard min(height, width) >= leastSide else {
      return "there is no optical flow of frames with a side below \(leastSide) pixels"
    }
    return nil
  }

  /// For pairs of pictures.
  ///
  /// - Returns: for each pair (height, width, 2): how far each pixel of the first is from where it is
  ///   in the second, x and y in pixels.
  /// - Throws: `OpticalFlowError`.
  static func flows(_ pairs: [(from: GreyPicture, to: GreyPicture)]) throws -> [Tensor] {
    guard let first = pairs.first?.from else { return [] }
    let (height, width) = (first.height, first.width)
    let size = height * width * 2
    var all = Tensor(repeating: 0, shape: [pairs.count, height, width, 2])
    var reasons = [String?](repeating: nil, count: pairs.count)
    all.withMutableValues { flows in
      reasons.withUnsafeMutableBufferPointer { reasons in
        Parallel.ranges(of: pairs.count) { range in
          for index in range {
            let (from, to) = pairs[index]
            precondition(from.height == height && from.width == width && to.height == height)
            let failure = optical_flow(
              from.values, to.values, Int32(height), Int32(width), flows + index * size)
            reasons[index] = failure.map { String(cString: $0) }
          }
        }
      }
    }
    if let reason = reasons.lazy.compactMap(\.self).first { throw OpticalFlowError(reason) }
    return pairs.indices.map { all.rows($0..<$0 + 1).reshaped([height, width, 2]) }
  }
}

/// What OpenCV could not do.
public struct OpticalFlowError: Error, CustomStringConvertible {
  public let description: String
  init(_ reason: String) { description = "OpenCV found no optical flow: \(reason)" }
}
