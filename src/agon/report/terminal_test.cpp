#include "agon/report/terminal.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace agon {
namespace {

TEST(Terminal, ColoursOnlyWhereTheyAreWanted) {
  EXPECT_TRUE(terminal_info({.is_terminal = true, .term = "xterm"}).colour);
  EXPECT_TRUE(terminal_info({.is_terminal = true, .no_color = "", .term = "xterm"}).colour);
  EXPECT_FALSE(terminal_info({.is_terminal = true, .no_color = "1", .term = "xterm"}).colour);
  EXPECT_FALSE(terminal_info({.is_terminal = true, .term = "dumb"}).colour);
  EXPECT_FALSE(terminal_info({.is_terminal = false, .term = "xterm"}).colour);
  EXPECT_TRUE(terminal_info({.is_terminal = false, .force_color = "1"}).colour);
  EXPECT_FALSE(terminal_info({.is_terminal = false, .force_color = "0"}).colour);
  EXPECT_FALSE(terminal_info({.is_terminal = true, .no_color = "1", .force_color = "1"}).colour);
}

TEST(Terminal, Width) {
  EXPECT_EQ(terminal_info({.is_terminal = true, .window_columns = 132, .columns = "90"}).width, 132);
  EXPECT_EQ(terminal_info({.is_terminal = true, .columns = "90"}).width, 90);
  EXPECT_EQ(terminal_info({.is_terminal = true, .columns = "9x"}).width, 80);
  EXPECT_EQ(terminal_info({.is_terminal = true, .columns = "-5"}).width, 80);
  EXPECT_EQ(terminal_info({.is_terminal = true, .window_columns = 3}).width, 40);
  EXPECT_EQ(terminal_info({.is_terminal = false, .window_columns = 132, .columns = "90"}).width, 0);
}

TEST(Terminal, APipeIsNoTerminal) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_FALSE(terminal_info(ends[1]).is_terminal);
  EXPECT_EQ(terminal_info(ends[1]).width, 0);
  close(ends[0]);
  close(ends[1]);
}

TEST(Terminal, Paints) {
  EXPECT_EQ(painted("x", Paint::kGood, true), "\x1b[32mx\x1b[0m");
  EXPECT_EQ(painted("x", Paint::kGood, false), "x");
  EXPECT_EQ(painted("x", Paint::kPlain, true), "x");
}

}  // namespace
}  // namespace agon
