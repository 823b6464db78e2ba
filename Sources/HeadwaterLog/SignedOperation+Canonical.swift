import HeadwaterModel

extension SignedOperation {
  /// The most bytes that the encoding adds to a body: heads, suite, key and signature.
  static let frameBytes = 1_024
  /// The longest encoding that is accepted, in bytes.
  public static let maximumBytes = Limits.operationBytes + frameBytes

  /// Appends the operation as it travels: the array [body, suite, public key, signature].
  public func encode(into writer: inout CanonicalWriter) {
    writer.arrayHeader(4)
    writer.byteString(body)
    writer.unsigned(UInt64(suite))
    writer.byteString(publicKey)
    writer.byteString(signature)
  }

  /// Reads what `encode` wrote. Whether body, key and signature belong together is for the store to check.
  public init(from reader: inout CanonicalReader) throws(DecodingError) {
    let start = reader.offset
    guard try reader.arrayHeader() == 4 else {
      throw DecodingError("not a signed operation", offset: start)
    }
    let body = try reader.byteString()
    let suite = try reader.unsigned()
    let publicKey = try reader.byteString()
    let signature = try reader.byteString()
    guard let suite = UInt8(exactly: suite), body.count <= Limits.operationBytes,
      publicKey.count + signature.count <= SignedOperation.frameBytes - 64
    else { throw DecodingError("not a signed operation", offset: start) }
    self.init(body: body, suite: suite, publicKey: publicKey, signature: signature)
  }
}
