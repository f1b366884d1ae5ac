// Everything that kernels need is in metal_stdlib.
#pragma once
