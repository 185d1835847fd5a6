// sluice.hpp: everything most programs need. Helpers that are used only if wanted lie in sluice/extra/.
#pragma once

#include <sluice/admission.hpp>
#include <sluice/blocking.hpp>
#include <sluice/deadline.hpp>
#include <sluice/handler.hpp>
#include <sluice/message.hpp>
#include <sluice/problem.hpp>
#include <sluice/router.hpp>
#include <sluice/server.hpp>
#include <sluice/stream.hpp>
#include <sluice/value.hpp>
