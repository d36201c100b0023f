import Foundation

/// Tensors in several files, and an index that says which is where: a JSON object whose
/// `weight_map` maps each tensor's name to the name of a file beside it.
public struct ShardedTensors: TensorSource {
  /// In the order of their names.
  public let files: [SafetensorsFile]
  private let index: URL
  private let fileNumbers: [String: Int]

  /// - Parameter index: such as `diffusion_pytorch_model.safetensors.index.json`.
  /// - Throws: `WeightsError`, where the index or a file that it names cannot be read, or a file
  ///   does not hold a tensor that it should.
  public init(index: URL) throws {
    struct Index: Decodable {
      let weight_map: [String: String]
    }
    let path = index.path(percentEncoded: false)
    guard let data = RegularFile.contents(of: index) else {
      throw WeightsError("\(path) cannot be read")
    }
    guard let map = try? JSONDecoder().decode(Index.self, from: data).weight_map else {
      throw WeightsError(
        "\(path) is not an index of files of weights: it has no 'weight_map' of names of tensors to names of files"
      )
    }
    let names = Set(map.values).sorted()
    for name in names where name.contains("/") || name.hasPrefix(".") {
      throw WeightsError(
        "\(path) names the file '\(name)'; the files must lie beside it under plain names")
    }
    files = try names.map { name in
      let url = index.deletingLastPathComponent().appending(path: name)
      guard FileManager.default.fileExists(atPath: url.path(percentEncoded: false)) else {
        throw WeightsError(
          "\(url.path(percentEncoded: false)) is missing, one of the \(names.count) files that \(index.lastPathComponent) names"
        )
      }
      return try SafetensorsFile(url)
    }
    let numbers = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
    self.index = index
    fileNumbers = map.compactMapValues { numbers[$0] }
    for (name, number) in fileNumbers where files[number].shape(of: name) == nil {
      throw WeightsError(
        "\(files[number].place) has no tensor '\(name)', which \(index.lastPathComponent) says it has"
      )
    }
  }

  public var place: String { index.path(percentEncoded: false) }

  public func storedName(of name: String) -> String { name }

  public func shape(of name: String) -> [Int]? { file(of: name)?.shape(of: name) }

  public func tensor(_ name: String) throws -> Tensor {
    guard let file = file(of: name) else {
      throw WeightsError("\(place) has no tensor '\(name)'")
    }
    return try file.tensor(name)
  }

  public func isMapped(_ name: String) -> Bool { file(of: name)?.isMapped(name) ?? false }

  public func forget(_ name: String) { file(of: name)?.forget(name) }

  public func requireFloats(_ name: String) throws { try file(of: name)?.requireFloats(name) }

  public func feedSample(to hash: ContentHash) { for file in files { file.feedSample(to: hash) } }

  private func file(of name: String) -> SafetensorsFile? { fileNumbers[name].map { files[$0] } }
}
