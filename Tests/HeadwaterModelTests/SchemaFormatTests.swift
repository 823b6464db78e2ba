import HeadwaterModel
import Testing

@Suite struct SchemaFormatTests {
  @Test func commentsStayWithWhatTheyDescribe() throws {
    let text = """
      // Licence

      // The shop.
      schema Shop // trailing
      collection P { // the head
        // before a
        a :Int@check( (a>0) ) // after a
        /// Doc.
        b: Text   (3)  // after b
        allow delete , create // the rule
        // the end of P
      } // after P
      enum E{a,// first
        b}
      // the very end
      """
    let formatted = try Schema.format(text)
    #expect(
      formatted == """
        // Licence

        // The shop.
        schema Shop  // trailing

        enum E {
          a,  // first
          b,
        }

        collection P {  // the head
          // before a
          a: Int @check(a > 0)  // after a
          /// Doc.
          b: Text(3)  // after b

          allow create, delete  // the rule
          // the end of P
        }  // after P

        // the very end

        """)
    #expect(try Schema.format(formatted) == formatted)
  }

  @Test func namesAreQuotedOnlyWhereTheyMustBe() throws {
    let text = """
      schema `S`
      enum `Text` { `or`, `a b`, plain }
      collection `order item "x" 🙂` {
        `Select`: `Text` @default(`or`)
        `select`: `Text`? @check(`select` != `a b`)
        `in`: `order item "x" 🙂`?
        `a``b`: Int
      }
      """
    #expect(throws: SchemaErrors.self) { try Schema.parse(text) }
    let fixed = text.replacing("`a``b`: Int", with: "`\(String(repeating: "n", count: 70))`: Int")
    let formatted = try Schema.format(fixed)
    #expect(
      formatted == """
        schema S

        enum `Text` { `or`, `a b`, plain }

        collection `order item "x" 🙂` {
          Select: `Text` @default(`or`)
          select: `Text`? @check(select != `a b`)
          `in`: `order item "x" 🙂`?
          \(String(repeating: "n", count: 70)): Int
        }

        """)
    #expect(try Schema.parse(formatted) == Schema.parse(fixed))
  }

  @Test func twoSpellingsAreOneSchema() throws {
    let one = try Schema.parse(
      """
      schema S
      enum E { a, b }
      collection M { e: E @key @readonly }
      collection C {
        n: Decimal(9, 3) @check(n >= 1.500 and not (n == 2e0)) @default(2.50)
        m: M @readonly @onDelete(cascade)
        e: E @default("a") @check(e in ["a", b])
        allow update, create if exists M(e: "a" or b)
      }
      """)
    let two = try Schema.parse(
      """
      // Other spaces, other order.
      schema S collection M { e: E @readonly @key }
      collection C { n: Decimal(9,3) @default(2.5) @check((n >= 1.5) and (not n == 2))
        m: M @onDelete(cascade) @readonly
        e: E @check(e in [a, "b"]) @default(a)
        allow create, update if (exists M(e: a or "b",)) }
      enum E { a, b, }
      """)
    #expect(one == two)
    #expect(one.canonicalText == two.canonicalText)
    #expect(one.canonicalText == (try Schema.format(one.canonicalText)))
  }

  @Test func aCaseThatAFieldIsCalledLikeIsWrittenAsAString() throws {
    let schema = try Schema.parse(
      """
      schema S
      enum E { open, closed }
      collection C {
        open: Bool
        e: E @check(e == "open" or e == closed) @default(open)
      }
      """)
    #expect(schema.canonicalText.contains(#"@default(open) @check(e == "open" or e == closed)"#))
    #expect(try Schema.parse(schema.canonicalText) == schema)
  }

  @Test func everyLiteralComesBack() throws {
    let schema = try Schema.parse(
      #"""
      schema S
      collection C {
        a: Text @default("q\"\\\n\t\u{7F}\u{1F600}é")
        b: Float @default(1e300)
        c: Float @default(-0)
        d: Float @default(0.1)
        e: Bytes @default("00FF")
        f: Date @default("0001-01-01")
        g: Timestamp @default("2024-02-29T12:00+02:00")
        h: UUID @default("123E4567-E89B-12D3-A456-426614174000")
        i: JSON @default("x")
        j: JSON? @default(1.5)
        k: Int @default(-9223372036854775808)
        l: Decimal(38, 0) @default(99999999999999999999999999999999999999)
        m: Bool @default(true)
        n: Principal @default("00000000000000000000000000000000000000000000000000000000000000FF")
      }
      """#)
    #expect(schema.collections[0].fields[3].defaultValue == .float(0))
    #expect(schema.collections[0].fields[7].defaultValue?.canonicalBytes.isEmpty == false)
    #expect(try Schema.parse(schema.canonicalText) == schema)
    #expect(schema.canonicalText.contains(#""q\"\\\n\t\u{7F}😀é""#))
    #expect(schema.canonicalText.contains("2024-02-29T10:00:00.000000Z"))
  }
}
