//! Cases of texts and of builders of texts.

use revenant_bytecode::Native;
use revenant_hal::ObjectAddress;

use super::super::world::{Case, World};
use super::{case, floats, long_text, texts};

const NULL: ObjectAddress = ObjectAddress(0);

pub(in super::super) const TEXT: &[Case] = &[
    case(Native::StringLength, |w| texts(w, &["h\u{e4}"]), "3 [\"h\u{e4}\"]"),
    case(
        Native::StringByte,
        |w| {
            texts(w, &["abc"]);
            w.raws(&[2]);
        },
        "99 [\"abc\"]",
    ),
    case(
        Native::StringByte,
        |w| {
            texts(w, &["abc"]);
            w.raws(&[3]);
        },
        "IndexOutOfBoundsException",
    ),
    case(
        Native::StringCharacter,
        |w| {
            texts(w, &["a\u{1f600}b"]);
            w.raws(&[1]);
        },
        "128512 5 [\"a\u{1f600}b\"]",
    ),
    case(
        Native::StringCharacter,
        |w| {
            texts(w, &["a\u{1f600}b"]);
            w.raws(&[2]);
        },
        "InvalidArgumentException",
    ),
    case(
        Native::StringCharacter,
        |w| {
            texts(w, &["a"]);
            w.raws(&[1]);
        },
        "IndexOutOfBoundsException",
    ),
    case(Native::StringEquals, |w| texts(w, &["same", "same"]), "1 [\"same\"] [\"same\"]"),
    case(Native::StringEquals, |w| texts(w, &["same", "sama"]), "0 [\"same\"] [\"sama\"]"),
    case(Native::StringEquals, |w| w.references(&[NULL, NULL]), "1"),
    case(Native::StringEquals, |w| texts(w, &["one"]), "0 [\"one\"]"),
    case(Native::StringCompare, |w| texts(w, &["abc", "abd"]), "-1 [\"abc\"] [\"abd\"]"),
    case(Native::StringCompare, |w| texts(w, &["abc", "ab"]), "1 [\"abc\"] [\"ab\"]"),
    case(Native::StringCompare, |w| texts(w, &["", ""]), "0 [\"\"] [\"\"]"),
    case(Native::StringHash, |w| texts(w, &["hash"]), "7751652 [\"hash\"]"),
    case(Native::StringConcat, |w| texts(w, &["left", "right"]), "\"leftright\" [\"right\"]"),
    case(Native::StringConcat, |w| texts(w, &["", ""]), "\"\" [\"\"]"),
    case(
        Native::StringConcat,
        |w| {
            let long = w.string(&long_text());
            w.references(&[long, long]);
        },
        "<52002 bytes, 3b6d2bc9> [<26002 bytes, 5030cd49>]",
    ),
    case(
        Native::StringConcatI64,
        |w| {
            texts(w, &["left", "right"]);
            w.raws(&[i64::MIN.cast_unsigned()]);
        },
        "\"left-9223372036854775808right\" [\"right\"]",
    ),
    case(
        Native::StringConcatI64,
        |w| {
            texts(w, &["", ""]);
            w.raws(&[0]);
        },
        "\"0\" [\"\"]",
    ),
    case(
        Native::StringConcatI64,
        |w| {
            let long = w.string(&long_text());
            w.references(&[long, long]);
            w.raws(&[1_234_567_890]);
        },
        "<52012 bytes, c36654d6> [<26002 bytes, 5030cd49>]",
    ),
    case(
        Native::StringSlice,
        |w| {
            texts(w, &["a\u{20ac}bc"]);
            w.raws(&[1, 5]);
        },
        "\"\u{20ac}b\"",
    ),
    case(
        Native::StringSlice,
        |w| {
            texts(w, &["a\u{20ac}bc"]);
            w.raws(&[2, 5]);
        },
        "InvalidArgumentException",
    ),
    case(
        Native::StringSlice,
        |w| {
            texts(w, &["abc"]);
            w.raws(&[2, 4]);
        },
        "IndexOutOfBoundsException",
    ),
    case(
        Native::StringSlice,
        |w| {
            texts(w, &["abc"]);
            w.raws(&[3, 3]);
        },
        "\"\"",
    ),
    case(
        Native::StringSlice,
        |w| {
            texts(w, &[&long_text()]);
            w.raws(&[13, 26_000]);
        },
        "<25989 bytes, ea8f39c1>",
    ),
    case(
        Native::StringFind,
        |w| {
            texts(w, &["banana", "an"]);
            w.raws(&[2]);
        },
        "3 [\"banana\"] [\"an\"]",
    ),
    case(
        Native::StringFind,
        |w| {
            texts(w, &["banana", "an"]);
            w.raws(&[4]);
        },
        "-1 [\"banana\"] [\"an\"]",
    ),
    case(
        Native::StringFind,
        |w| {
            texts(w, &["banana", ""]);
            w.raws(&[6]);
        },
        "6 [\"banana\"] [\"\"]",
    ),
    case(
        Native::StringFind,
        |w| {
            texts(w, &["b\u{e4}", ""]);
            w.raws(&[2]);
        },
        "3 [\"b\u{e4}\"] [\"\"]",
    ),
    case(
        Native::StringFind,
        |w| {
            texts(w, &["a", "a"]);
            w.raws(&[u64::MAX]);
        },
        "-1 [\"a\"] [\"a\"]",
    ),
    case(
        Native::StringFromI64,
        |w| w.raws(&[i64::MIN.cast_unsigned()]),
        "\"-9223372036854775808\"",
    ),
    case(Native::StringFromU64, |w| w.raws(&[u64::MAX]), "\"18446744073709551615\""),
    case(Native::StringFromF64, |w| floats(w, &[0.1]), "\"0.1\""),
    case(Native::StringFromF64, |w| floats(w, &[-0.0]), "\"-0\""),
    case(Native::StringFromF64, |w| floats(w, &[1e21]), "\"1e21\""),
    case(
        Native::StringFromF64,
        |w| floats(w, &[123_456_789_012_345_680_000.0]),
        "\"123456789012345680000\"",
    ),
    case(Native::StringFromF64, |w| floats(w, &[5e-324]), "\"5e-324\""),
    case(Native::StringFromF64, |w| floats(w, &[f64::NAN]), "\"NaN\""),
    case(Native::StringFromF64, |w| floats(w, &[f64::NEG_INFINITY]), "\"-inf\""),
    case(Native::StringFromCharacter, |w| w.raws(&[0x20ac]), "\"\u{20ac}\""),
    case(Native::StringFromCharacter, |w| w.raws(&[0xd800]), "InvalidArgumentException"),
    case(
        Native::StringFromBytes,
        |w| {
            let bytes = w.bytes(b"xhelloy");
            w.references(&[bytes]);
            w.raws(&[1, 5]);
        },
        "\"hello\"",
    ),
    case(
        Native::StringFromBytes,
        |w| {
            let bytes = w.bytes(&[0x61, 0xff]);
            w.references(&[bytes]);
            w.raws(&[0, 2]);
        },
        "InvalidArgumentException",
    ),
    case(
        Native::StringFromBytes,
        |w| {
            let bytes = w.bytes(b"abc");
            w.references(&[bytes]);
            w.raws(&[2, u64::MAX]);
        },
        "IndexOutOfBoundsException",
    ),
    case(
        Native::StringFromBytes,
        |w| {
            let bytes = w.bytes(long_text().as_bytes());
            w.references(&[bytes]);
            w.raws(&[0, 26_000]);
        },
        "<26002 bytes, 5030cd49>",
    ),
    case(
        Native::StringFromBytes,
        |w| {
            let mut bytes = long_text().into_bytes();
            bytes[20_000] = 0xff;
            let bytes = w.bytes(&bytes);
            w.references(&[bytes]);
            w.raws(&[0, 26_000]);
        },
        "InvalidArgumentException",
    ),
    case(Native::StringToBytes, |w| texts(w, &["h\u{e4}"]), "104 195 164"),
    case(Native::StringToBytes, |w| texts(w, &[&long_text()]), "<97999 bytes, 414275a5>"),
    case(Native::StringParseI64, |w| texts(w, &["-42"]), "-42 [\"-42\"]"),
    case(
        Native::StringParseI64,
        |w| texts(w, &["9223372036854775808"]),
        "InvalidArgumentException",
    ),
    case(Native::StringParseI64, |w| texts(w, &[""]), "InvalidArgumentException"),
    case(Native::StringParseI64, |w| texts(w, &[&long_text()]), "InvalidArgumentException"),
    case(Native::StringParseF64, |w| texts(w, &["-1.5e3"]), "-1500 [\"-1.5e3\"]"),
    case(Native::StringParseF64, |w| texts(w, &["1.5x"]), "InvalidArgumentException"),
];

fn builder(world: &World<'_>, text: &str) {
    let made = world.builder(text);
    world.references(&[made]);
}

pub(in super::super) const BUILDER: &[Case] = &[
    case(Native::BuilderNew, |_| {}, "builder \"\""),
    case(
        Native::BuilderAppend,
        |w| {
            let (made, text) = (w.builder("one, "), w.string("two"));
            w.references(&[made, text]);
        },
        "[builder \"one, two\"] [\"two\"]",
    ),
    case(
        Native::BuilderAppend,
        |w| {
            let (made, text) = (w.builder("x"), w.string(&long_text()));
            w.references(&[made, text]);
        },
        "[builder <26003 bytes, c7e0e1a1>] [<26002 bytes, 5030cd49>]",
    ),
    case(
        Native::BuilderAppend,
        |w| {
            let (made, text) = (w.builder(&long_text()), w.string(&long_text()));
            w.references(&[made, text]);
        },
        "[builder <52002 bytes, 3b6d2bc9>] [<26002 bytes, 5030cd49>]",
    ),
    case(
        Native::BuilderAppendI64,
        |w| {
            builder(w, "n=");
            w.raws(&[7]);
        },
        "[builder \"n=7\"]",
    ),
    case(
        Native::BuilderAppendF64,
        |w| {
            builder(w, "x=");
            floats(w, &[2.5]);
        },
        "[builder \"x=2.5\"]",
    ),
    case(
        Native::BuilderAppendFixed,
        |w| {
            builder(w, "x=");
            w.raws(&[2.0_f64.sqrt().to_bits(), 3]);
        },
        "[builder \"x=1.414\"]",
    ),
    case(
        Native::BuilderAppendFixed,
        |w| {
            builder(w, "");
            w.raws(&[1.0_f64.to_bits(), 341]);
        },
        "InvalidArgumentException",
    ),
    case(
        Native::BuilderAppendFixed,
        |w| {
            builder(w, "");
            w.raws(&[f64::MIN.to_bits(), 340]);
        },
        "[builder <653 bytes, 0f47598d>]",
    ),
    case(
        Native::BuilderAppendCharacter,
        |w| {
            builder(w, "a");
            w.raws(&[0xe4]);
        },
        "[builder \"a\u{e4}\"]",
    ),
    case(Native::BuilderLength, |w| builder(w, "12345"), "5 [builder \"12345\"]"),
    case(Native::BuilderClear, |w| builder(w, "12345"), "[builder \"\"]"),
    case(Native::BuilderToString, |w| builder(w, "text"), "\"text\""),
    case(Native::BuilderToString, |w| builder(w, ""), "\"\""),
    case(Native::BuilderToString, |w| builder(w, &long_text()), "<26002 bytes, 5030cd49>"),
];
