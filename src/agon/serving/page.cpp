#include "agon/serving/page.h"

#include <string>

#include "agon/report/html.h"
#include "agon/serving/page_parts.h"

namespace agon::serving {

std::string_view playground_page() {
  static const std::string kPage = [] {
    std::string page =
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>agon "
        "serve</title>\n"
        "<link rel=\"icon\" href=\"data:,\">\n<style>\n";
    page += report_stylesheet();
    page += playground_style();
    page += "</style></head>\n<body>\n";
    page += playground_body();
    page += "<script>\n";
    page += playground_script();
    page += "</script>\n</body></html>\n";
    return page;
  }();
  return kPage;
}

}  // namespace agon::serving
