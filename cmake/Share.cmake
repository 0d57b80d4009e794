# The files that the program finds by itself: <build>/share/agon beside the built program,
# ../share/agon from the installed one.
set(AGON_SHARE ${CMAKE_BINARY_DIR}/share/agon)
set(AGON_SHARE_FILES)

# agon_share_file(SOURCE NAME): copies one file of the source tree when it changes.
function(agon_share_file source name)
  add_custom_command(OUTPUT ${AGON_SHARE}/${name}
    COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_SOURCE_DIR}/${source} ${AGON_SHARE}/${name}
    DEPENDS ${CMAKE_SOURCE_DIR}/${source} VERBATIM)
  set(AGON_SHARE_FILES ${AGON_SHARE_FILES} ${AGON_SHARE}/${name} PARENT_SCOPE)
endfunction()

agon_share_file(data/ratings/arena_2024-08-14.csv ratings/arena_2024-08-14.csv)

if(AGON_DEFAULT_MODEL)
  # The model behind `agon predict default`, trained by the program that was just built. The same seed
  # gives the same bytes, so nothing needs to be kept in git.
  set(AGON_DEFAULT_MODEL_FILE ${AGON_SHARE}/default.agon)
  # Paths are relative, so that the card, which holds the command, is the same in every folder.
  set(default_votes data/votes/lmsys_arena_1500.csv.gz)
  set(default_extra_votes data/votes/mt_bench_human.csv.gz)
  file(RELATIVE_PATH default_output ${CMAKE_SOURCE_DIR} ${AGON_DEFAULT_MODEL_FILE})
  add_custom_command(OUTPUT ${AGON_DEFAULT_MODEL_FILE}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${AGON_SHARE}
    COMMAND agon_program train ${default_votes} ${default_extra_votes}:0.15
            --no-cv --quiet --seed 1 -o ${default_output}
    DEPENDS agon_program ${CMAKE_SOURCE_DIR}/${default_votes} ${CMAKE_SOURCE_DIR}/${default_extra_votes}
            ${AGON_SHARE}/ratings/arena_2024-08-14.csv
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    COMMENT "Training the default model on the bundled votes" VERBATIM)
  list(APPEND AGON_SHARE_FILES ${AGON_DEFAULT_MODEL_FILE})
endif()

# Completions are the program's own words, so that they never lag behind its options.
foreach(shell bash zsh fish)
  set(completion ${CMAKE_BINARY_DIR}/completions/agon.${shell})
  add_custom_command(OUTPUT ${completion}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/completions
    COMMAND agon_program completion ${shell} > ${completion}
    DEPENDS agon_program VERBATIM)
  list(APPEND AGON_SHARE_FILES ${completion})
endforeach()

add_custom_target(agon_share ALL DEPENDS ${AGON_SHARE_FILES})
