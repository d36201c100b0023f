import CUTF8Proc

extension Character {
  /// Columns that a terminal gives it: two for most of East Asia's letters and for emoji, none for
  /// what is put onto another character. Where terminals disagree (sequences of emoji) it is the
  /// greater number, so that no line grows longer than it may.
  var displayWidth: Int {
    if isASCII { return 1 }
    var columns = 0
    var isPicture = false
    for scalar in unicodeScalars {
      // The sign that asks for the picture of a character that also has a letter's form.
      if scalar.value == 0xFE0F { isPicture = true }
      columns += max(0, Int(utf8proc_charwidth(Int32(bitPattern: scalar.value))))
    }
    return isPicture ? max(2, columns) : columns
  }
}

extension StringProtocol {
  /// Columns that a terminal gives a line without control characters.
  var displayWidth: Int { reduce(0) { $0 + $1.displayWidth } }
}
