@testable import HeadwaterMesh

extension NoisePattern {
  /// Every pattern of sections 7.4, 7.5 and 18.1 of the specification, by name.
  ///
  /// A line is a name, who is known beforehand (i, r), and the messages, of which the initiator sends the first.
  static let published: [String: NoisePattern] = {
    let table = """
      N   r  | e es
      K   ir | e es ss
      X   r  | e es s ss
      NN     | e | e ee
      NK  r  | e es | e ee
      NX     | e | e ee s es
      XN     | e | e ee | s se
      XK  r  | e es | e ee | s se
      XX     | e | e ee s es | s se
      KN  i  | e | e ee se
      KK  ir | e es ss | e ee se
      KX  i  | e | e ee se s es
      IN     | e s | e ee se
      IK  r  | e es s ss | e ee se
      IX     | e s | e ee se s es
      NK1 r  | e | e ee es
      NX1    | e | e ee s | es
      X1N    | e | e ee | s | se
      X1K r  | e es | e ee | s | se
      XK1 r  | e | e ee es | s se
      X1K1 r | e | e ee es | s | se
      X1X    | e | e ee s es | s | se
      XX1    | e | e ee s | es s se
      X1X1   | e | e ee s | es s | se
      K1N i  | e | e ee | se
      K1K ir | e es | e ee | se
      KK1 ir | e | e ee se es
      K1K1 ir | e | e ee es | se
      K1X i  | e | e ee s es | se
      KX1 i  | e | e ee se s | es
      K1X1 i | e | e ee s | se es
      I1N    | e s | e ee | se
      I1K r  | e es s | e ee | se
      IK1 r  | e s | e ee se es
      I1K1 r | e s | e ee es | se
      I1X    | e s | e ee s es | se
      IX1    | e s | e ee se s | es
      I1X1   | e s | e ee s | se es
      """
    var patterns: [String: NoisePattern] = [:]
    for line in table.split(separator: "\n") {
      let parts = line.split(separator: "|").map { $0.split(separator: " ").map(String.init) }
      let known = parts[0].count > 1 ? parts[0][1] : ""
      patterns[parts[0][0]] = NoisePattern(
        name: parts[0][0], initiatorIsKnown: known.contains("i"),
        responderIsKnown: known.contains("r"),
        messages: parts.dropFirst().map { $0.compactMap(Token.init(rawValue:)) })
    }
    return patterns
  }()
}
