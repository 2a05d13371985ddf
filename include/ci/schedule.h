#ifndef CI_SCHEDULE_H
#define CI_SCHEDULE_H
/** Step sizes over a run.  Not collective; no libm, so the bits are the same everywhere. */
#include <stdbool.h>
#include <stdint.h>

typedef enum ci_schedule_kind {
    CI_SCHEDULE_NONE,
    CI_SCHEDULE_COSINE,
    CI_SCHEDULE_STEP,
    CI_SCHEDULE_PLATEAU
} ci_schedule_kind;

typedef struct ci_schedule {
    ci_schedule_kind kind;
    double lr;         /**< step size after the warm-up                                              */
    double lr_min;     /**< COSINE: where it ends; PLATEAU: it does not fall below                   */
    double warmup;     /**< epochs of warm-up; 0: none                                               */
    int32_t t_max;     /**< COSINE: epochs until lr_min; 0: those of the run after the warm-up       */
    int32_t step_size; /**< STEP: epochs between two falls, > 0                                      */
    double gamma;      /**< STEP, PLATEAU: factor of one fall                                        */
} ci_schedule;

/** Step size of one optimiser step.  With e = max(epoch - ceil(warmup), 0), whole epochs since the warm-up:
 *
 *      warm-up   lr (epoch + fraction) / warmup                       while epoch + fraction < warmup
 *      NONE      lr
 *      COSINE    lr_min + (lr - lr_min) (1 + cos(pi e / t_max)) / 2,  lr_min from t_max on
 *      STEP      lr gamma^floor(e / step_size)
 *      PLATEAU   max(lr gamma^drops, lr_min)
 *
 *  Source: torch.optim.lr_scheduler CosineAnnealingLR, StepLR, ReduceLROnPlateau, stepped once an epoch; after a
 *  warm-up they begin anew, as in SequentialLR.
 *  \param [in] epoch, epochs      the epoch, from 0, and how many the run has at most
 *  \param [in] fraction_of_epoch  done when this step is, in (0,1]: (batch + 1) / batches
 *  \param [in] plateau_drops      ci_plateau.drops; only PLATEAU looks at it */
double ci_schedule_lr(const ci_schedule *s, int32_t epoch, int32_t epochs, double fraction_of_epoch,
                      int32_t plateau_drops);

/** What PLATEAU remembers of the monitored value; {0} at the start, kept in the checkpoint. */
typedef struct ci_plateau {
    double best;   /**< value so far, once seen                              */
    int32_t seen;  /**< 1 when there was a value                             */
    int32_t bad;   /**< epochs since the best one, or since the last drop    */
    int32_t drops; /**< how often the step size has fallen                   */
} ci_plateau;

/** Take note of an epoch's value.  Better is value < best (1 - threshold), or when more is better value >
 *  best (1 + threshold); after more than `patience` epochs that were not, drops goes up by one.
 *  Source: torch.optim.lr_scheduler.ReduceLROnPlateau, threshold_mode rel, cooldown 0. */
void ci_plateau_step(ci_plateau *p, double value, bool more_is_better, int32_t patience, double threshold);

#endif
