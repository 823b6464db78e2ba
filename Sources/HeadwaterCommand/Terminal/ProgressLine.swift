/// A line on stderr that is overwritten as work goes on; silent where stderr is no terminal.
struct ProgressLine {
  private let clock = ContinuousClock()
  private let isShown = Output.error.isTerminal
  private var shownAt: ContinuousClock.Instant?

  /// Shows `text`, at most ten times a second.
  mutating func show(_ text: @autoclosure () -> String) {
    guard isShown else { return }
    let now = clock.now
    if let shownAt, now - shownAt < .milliseconds(100) { return }
    shownAt = now
    Output.error.write(Array("\r\u{1B}[K\(text())".utf8))
  }

  /// Removes the line.
  mutating func clear() {
    if shownAt != nil { Output.error.write(Array("\r\u{1B}[K".utf8)) }
    shownAt = nil
  }
}

extension Duration {
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) / 1e18
  }
}

/// Numbers for people.
enum Figures {
  /// `13,795`
  static func count(_ value: some BinaryInteger) -> String {
    let digits = Array(String(value.magnitude).utf8)
    var out: [UInt8] = value < 0 ? [UInt8(ascii: "-")] : []
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { out.append(UInt8(ascii: ",")) }
      out.append(digit)
    }
    return String(decoding: out, as: UTF8.self)
  }

  /// `1 row`, `13,795 rows`
  static func rows(_ count: Int) -> String {
    "\(Figures.count(count)) \(count == 1 ? "row" : "rows")"
  }

  /// How many a second, or a dash where the time is too short to tell.
  static func rate(_ count: Int, _ seconds: Double) -> String {
    seconds < 0.000_1 ? "–" : Figures.count(Int(Double(count) / seconds))
  }

  /// `0.42 s`
  static func time(_ seconds: Double) -> String {
    let hundredths = Int(seconds * 100 + 0.5)
    if seconds >= 100 { return "\(Int(seconds + 0.5)) s" }
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) s"
  }

  /// `1.5 MB`
  static func bytes(_ count: Int64) -> String {
    var value = Double(count)
    var unit = "bytes"
    for next in ["KB", "MB", "GB", "TB"] where value >= 1_000 {
      value /= 1_000
      unit = next
    }
    if unit == "bytes" { return "\(count) bytes" }
    let tenths = Int(value * 10 + 0.5)
    return "\(tenths / 10).\(tenths % 10) \(unit)"
  }
}
