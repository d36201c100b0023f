import Foundation
import StableDiffusion
import Tensor
import Testing

/// The repository's model made to see a picture beside its noise, as InstructPix2Pix was made from
/// Stable Diffusion before its training: the UNet's first convolution has twice the input channels.
final class InstructedModel {
  let folder = FileManager.default.temporaryDirectory.appending(
    path: "instructed-\(UUID().uuidString)")

  /// - Parameter weights: of the first convolution for the added channels, (outputs, 4, 3, 3).
  init(_ weights: Tensor) throws {
    try FileManager.default.copyItem(at: TinyWorld.folder, to: folder)
    try change("unet/config.json") { $0["in_channels"] = 8 }
    try change("scheduler/scheduler_config.json") {
      $0["_class_name"] = "EulerAncestralDiscreteScheduler"
      $0["timestep_spacing"] = nil
    }
    let name = "diffusion_pytorch_model.safetensors"
    let unet = folder.appending(path: "unet")
    let file = try SafetensorsFile(unet.appending(path: name))
    var tensors = try Dictionary(
      uniqueKeysWithValues: file.names.map { ($0, try file.tensor($0).copied()) })
    let old = try #require(tensors["conv_in.weight"])
    let outputs = old.shape[0]
    tensors["conv_in.weight"] = Tensor.concatenatedChannels(
      old.reshaped([outputs, old.count / outputs]),
      weights.reshaped([outputs, weights.count / outputs])
    ).reshaped([outputs, 8, 3, 3])
    _ = try SafetensorsFile.write(tensors, into: unet.path(percentEncoded: false)) { _ in name }
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  private func change(_ file: String, _ edit: (inout [String: Any]) -> Void) throws {
    let url = folder.appending(path: file)
    var values = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
    edit(&values)
    try JSONSerialization.data(withJSONObject: values).write(to: url)
  }
}
