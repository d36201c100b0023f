import Foundation

/// Makes pictures of the usual range, BT.709, of ones of high dynamic range, which no model of
/// Stable Diffusion knows: in PQ or HLG with the primaries of BT.2020 they look grey and dull to it.
///
/// Light is computed as ITU-R BT.2100 has it (PQ's EOTF; HLG's inverse OETF and OOTF for a screen of
/// 1000 cd/m²), diffuse white is 203 cd/m² (BT.2408), primaries are converted as in BT.2087, and
/// what is brighter than white is compressed from 3/4 of it on, up to 1000 cd/m² (extended
/// Reinhard).
struct ToneMapping {
  private static let white: Float = 203
  private static let peak: Float = 1000
  private static let knee: Float = 0.75
  private static let fineness = 4096

  private let isHLG: Bool
  /// Of a channel in 16 bits: light relative to white (PQ), or of the scene, 0 to 1 (HLG).
  private let light: [Float]
  /// Of light from 0 to white: sRGB's code values.
  private let codes: [UInt8]

  /// - Parameter transfer: 16 for PQ, 18 for HLG.
  init(transfer: UInt8) {
    isHLG = transfer == 18
    light = (0...65535).map { Self.light(of: Float($0) / 65535, isHLG: transfer == 18) }
    codes = (0...Self.fineness).map { Self.code(of: Float($0) / Float(Self.fineness)) }
  }

  /// Makes RGB in 8 bits of RGBA in 16, in place; what is seen through is ignored.
  func map(_ row: UnsafeMutablePointer<UInt8>, pixels: Int) {
    for x in 0..<pixels {
      let channels = UnsafeRawPointer(row + 8 * x)
      func channel(_ index: Int) -> Float {
        light[Int(channels.load(fromByteOffset: 2 * index, as: UInt16.self))]
      }
      let (red, green, blue) = mapped(channel(0), channel(1), channel(2))
      row[3 * x] = red
      row[3 * x + 1] = green
      row[3 * x + 2] = blue
    }
  }

  private func mapped(_ red: Float, _ green: Float, _ blue: Float) -> (UInt8, UInt8, UInt8) {
    var (red, green, blue) = (red, green, blue)
    if isHLG {
      let luminance = 0.2627 * red + 0.6780 * green + 0.0593 * blue
      let gain = luminance > 0 ? pow(luminance, 0.2) * Self.peak / Self.white : 0
      (red, green, blue) = (red * gain, green * gain, blue * gain)
    }
    let r = 1.6605 * red - 0.5876 * green - 0.0728 * blue
    let g = -0.1246 * red + 1.1329 * green - 0.0083 * blue
    let b = -0.0182 * red - 0.1006 * green + 1.1187 * blue
    // By the brightest channel, so that no colour turns into another.
    let brightest = max(r, g, b)
    let gain = brightest > Self.knee ? Self.compressed(brightest) / brightest : 1
    func code(_ light: Float) -> UInt8 {
      codes[Int(min(max(light * gain, 0), 1) * Float(Self.fineness) + 0.5)]
    }
    return (code(r), code(g), code(b))
  }

  /// Continuous and smooth at the knee, and 1 at the peak.
  private static func compressed(_ light: Float) -> Float {
    let most = (peak / white - knee) / (1 - knee)
    let over = min((light - knee) / (1 - knee), most)
    return knee + (1 - knee) * over * (1 + over / (most * most)) / (1 + over)
  }

  private static func light(of value: Float, isHLG: Bool) -> Float {
    if isHLG {
      let (a, b, c): (Float, Float, Float) = (0.17883277, 0.28466892, 0.55991073)
      return value <= 0.5 ? value * value / 3 : (exp((value - c) / a) + b) / 12
    }
    let (m1, m2): (Float, Float) = (0.1593017578125, 78.84375)
    let (c1, c2, c3): (Float, Float, Float) = (0.8359375, 18.8515625, 18.6875)
    let power = pow(value, 1 / m2)
    return pow(max(power - c1, 0) / (c2 - c3 * power), 1 / m1) * 10_000 / white
  }

  private static func code(of light: Float) -> UInt8 {
    let value = light <= 0.0031308 ? 12.92 * light : 1.055 * pow(light, 1 / 2.4) - 0.055
    return UInt8((value * 255).rounded())
  }
}
