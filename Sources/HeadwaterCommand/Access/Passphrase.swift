import ArgumentParser
import Headwater

/// Where the passphrase of a key comes from.
struct PassphraseOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Read the passphrase from the first line of a file.",
      discussion: "Otherwise it is taken from HEADWATER_PASSPHRASE, or asked for on the terminal.",
      valueName: "file"))
  var passphraseFile: String?

  /// The passphrase without asking anybody; nil if none was given.
  func given() throws -> [UInt8]? {
    if let passphraseFile {
      let text = try InputFile(passphraseFile).all(limit: 1 << 16)
      var line = Array(text.prefix { $0 != 0x0A })
      if line.last == 0x0D { line.removeLast() }
      guard !line.isEmpty else {
        throw Failure("empty-passphrase", "the first line of \(passphraseFile) is empty")
      }
      return line
    }
    return Host.variable("HEADWATER_PASSPHRASE").map { Array($0.utf8) }
  }

  /// The passphrase of the key that is there under `name`.
  func existing(_ name: String) throws -> [UInt8] {
    if let given = try given() { return given }
    guard let terminal = Terminal() else {
      throw Failure(
        "passphrase-required",
        "the key '\(name)' is encrypted, and there is no terminal to ask for its passphrase: "
          + "give --passphrase-file FILE or set HEADWATER_PASSPHRASE")
    }
    return try terminal.secret("Passphrase of the key '\(name)': ")
  }

  /// A passphrase for a new key, asked for twice.
  func new(_ name: String) throws -> [UInt8] {
    if let given = try given() { return given }
    guard let terminal = Terminal() else {
      throw Failure(
        "passphrase-required",
        "there is no terminal to ask for a passphrase: give --passphrase-file FILE, "
          + "set HEADWATER_PASSPHRASE, or say --no-passphrase for a key that is not encrypted")
    }
    let first = try terminal.secret("Passphrase for the key '\(name)': ")
    guard !first.isEmpty else {
      throw Failure(
        "empty-passphrase",
        "an empty passphrase protects nothing: say --no-passphrase for a key that is not encrypted")
    }
    guard try terminal.secret("The same again: ") == first else {
      throw Failure("wrong-passphrase", "the two passphrases differ: nothing was done")
    }
    return first
  }
}

/// The terminal of the process, even where stdin and stdout lead elsewhere.
final class Terminal {
  private let descriptor: Int32

  /// Nil if there is none, or nobody in front of it.
  init?() {
    // A process whose stderr is no terminal runs for a program; a question would wait for ever.
    guard isatty(2) == 1 else { return nil }
    descriptor = open("/dev/tty", O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
  }

  deinit { close(descriptor) }

  /// Asks, and reads a line without showing it.
  func secret(_ prompt: String) throws -> [UInt8] {
    Output.error.write(Array(prompt.utf8))
    var before = termios()
    let isSet = tcgetattr(descriptor, &before) == 0
    if isSet {
      shownTerminal = (descriptor, before)
      for number in [SIGINT, SIGTERM, SIGHUP] {
        signal(number) { number in
          // Whoever gives up here wants to see again what they type.
          tcsetattr(shownTerminal.descriptor, TCSANOW, &shownTerminal.settings)
          signal(number, SIG_DFL)
          raise(number)
        }
      }
      var silent = before
      silent.c_lflag &= ~tcflag_t(ECHO)
      tcsetattr(descriptor, TCSAFLUSH, &silent)
    }
    defer {
      if isSet {
        tcsetattr(descriptor, TCSAFLUSH, &before)
        for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_DFL) }
      }
      Output.error.write([0x0A])
    }
    var line: [UInt8] = []
    while true {
      var byte: UInt8 = 0
      let got = Foreign.read(descriptor, &byte, 1)
      if got < 0, errno == EINTR { continue }
      guard got == 1, byte != 0x0A else { return line }
      line.append(byte)
    }
  }
}

/// The terminal that a passphrase is typed into, as it was before: for the handler of a signal, which can reach
/// nothing else. Written before the handler is set, by the one thread that asks.
nonisolated(unsafe) private var shownTerminal: (descriptor: Int32, settings: termios) = (
  -1, termios()
)
