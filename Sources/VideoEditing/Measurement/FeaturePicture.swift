import Tensor

extension Tensor {
  /// Features as a picture, after their first three principal components over all rows: red, green
  /// and blue, each from -1 where the component is least to 1 where it is greatest.
  ///
  /// - Parameter features: (rows, height, width, channels), at least three channels.
  /// - Returns: (rows, height, width, 3).
  public static func picture(ofFeatures features: Tensor) -> Tensor {
    let shape = features.shape
    let tokens = features.reshaped([features.count / shape[3], shape[3]])
    var picture = PrincipalComponents(of: tokens, count: 3).coordinates(of: tokens)
    let count = picture.count
    picture.withMutableValues { values in
      for component in 0..<3 {
        let places = stride(from: component, to: count, by: 3)
        let (least, greatest) = places.reduce((Float.infinity, -Float.infinity)) {
          (min($0.0, values[$1]), max($0.1, values[$1]))
        }
        let range = greatest - least
        for place in places {
          values[place] = range > 0 ? 2 * (values[place] - least) / range - 1 : 0
        }
      }
    }
    return picture.reshaped(Array(shape.dropLast()) + [3])
  }
}
