# Every dependency is a Debian 12 package; scripts/install_deps.sh installs them. The installed package
# (agon-config.cmake) reads this file too, with an agon_need of its own.
if(NOT COMMAND agon_need)
  macro(agon_need)
    find_package(${ARGN} REQUIRED)
  endmacro()
endif()

agon_need(Threads)
agon_need(fmt)
agon_need(simdjson)
agon_need(ICU COMPONENTS uc i18n)
agon_need(ZLIB)
agon_need(TBB)
agon_need(OpenSSL)
agon_need(CURL)
agon_need(PkgConfig)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

# Debian's XGBoost brings no package file of any kind.
find_library(XGBOOST_LIBRARY xgboost REQUIRED)
find_path(XGBOOST_INCLUDE xgboost/c_api.h REQUIRED)
if(NOT TARGET agon::xgboost_c)
  add_library(agon::xgboost_c INTERFACE IMPORTED)
  set_target_properties(agon::xgboost_c PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES ${XGBOOST_INCLUDE} INTERFACE_LINK_LIBRARIES ${XGBOOST_LIBRARY})
endif()

# What a program that links the static library has to link too.
set(AGON_LINK_DEPENDENCIES Threads::Threads fmt::fmt simdjson::simdjson ICU::uc ICU::i18n ZLIB::ZLIB
    TBB::tbb PkgConfig::ZSTD PkgConfig::XXHASH OpenSSL::Crypto CURL::libcurl agon::xgboost_c)
