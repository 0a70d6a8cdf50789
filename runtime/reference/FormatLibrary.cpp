//===- FormatLibrary.cpp - libfmt within libquern_runtime.a ---------------===//
//
// Programs with compiled models need not have libfmt. Nothing else may include this way.
//
//===----------------------------------------------------------------------===//
#define FMT_HEADER_ONLY
#include <fmt/format.h>

/// Has the functions emitted that other files call.
[[gnu::used]] static std::string (*const kFormat)(fmt::string_view,
                                                  fmt::format_args) = &fmt::vformat;
[[gnu::used]] static void (*const kThrow)(const char *) = &fmt::detail::throw_format_error;
[[gnu::used]] static bool (*const kIsPrintable)(uint32_t) = &fmt::detail::is_printable;
[[gnu::used]] static fmt::detail::thousands_sep_result<char> (*const kSeparator)(
    fmt::detail::locale_ref) = &fmt::detail::thousands_sep_impl<char>;
